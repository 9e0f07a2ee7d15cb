//! How the platform under validation is reached.

pub mod connection;
pub mod endpoint;
pub mod health;
pub mod probe;
pub mod steady;
pub mod store;
pub mod text;
pub mod tls;
