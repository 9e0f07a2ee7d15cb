//! What is broken on purpose, one file a fault: on what, how much of it, and what is asked of a platform
//! that has to bear it. The doing is the runtimes', and that of the helper that holds a fault.

pub mod cpu;
pub mod kill;
pub mod memory;
pub mod partition;
