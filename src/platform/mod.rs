//! How the platform under validation is reached.

pub mod client;
pub mod connection;
pub mod connector;
pub mod descriptors;
pub mod docker;
pub mod endpoint;
pub mod health;
mod last_words;
pub mod names;
pub mod placed;
pub mod probe;
pub mod proxy;
pub mod steady;
pub mod store;
pub mod tethered;
pub mod text;
pub mod tls;
