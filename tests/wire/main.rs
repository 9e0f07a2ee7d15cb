//! The wire, over real sockets: what is spoken, to whom, through what, and what becomes of a run whose
//! target does not keep to it.

mod authority;
mod hostile;
mod secured;
mod server;
mod spoken;
#[path = "../support/mod.rs"]
mod support;
