//! How the platform under validation is reached.

pub mod endpoint;
pub mod text;
