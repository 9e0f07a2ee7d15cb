//! The whole dashboard on a test backend.
