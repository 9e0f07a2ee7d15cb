//! Chaos on a real Docker engine (`DOCKER_HOST`): `.ci/live/docker.sh` starts one and runs these.
//! What was done and what is left is read from Docker, nft and control groups, never from the program.

mod death;
mod experiments;
mod images;
mod platform;
mod refusals;
mod remote;
#[path = "../support/mod.rs"]
mod support;
