//! `shakedown` takes a production AI platform on a shakedown run and shows it live in the terminal.
//!
//! The rooms and the arrows between them are described in `docs/architecture.md`; a test asserts them.
#![deny(unsafe_code)]

pub mod backup;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod load;
pub mod monitor;
pub mod notify;
pub mod platform;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod security;
pub mod slo;
pub mod tui;
