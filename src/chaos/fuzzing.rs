//! What reads what a kernel or an engine says, for fuzzing: each takes anything and comes to its end.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;

use super::firewall::nft;
use super::runtime::docker::inspected::{
    instance, name_of, no_own_network, no_restart, tcp_ports, unsuitable,
};
use super::{cgroup, procfs, sockets};

/// A file of `/proc` or of a control group.
pub fn proc(text: &str) {
    let _ = (procfs::started_in(text), procfs::scheduled(text), procfs::bytes_of(text, "VmRSS:"));
    let _ = (cgroup::field_in(text, "oom_kill"), sockets::active_opens(text));
    assert!(cgroup::share_in(text).is_none_or(f64::is_finite), "{text}");
    for controller in [None, Some("memory")] {
        assert!(procfs::cgroup_in(text, controller).is_none_or(|path| text.contains(path)));
    }
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(sockets::peers_in(text, &[peer]).iter().all(|found| found.ip() == peer));
}

/// An answer by netlink.
pub fn netlink(bytes: &[u8]) {
    let _ = nft::packets_in(bytes);
}

/// What an engine says of a container.
pub fn container(text: &str) {
    let Ok(inspected) = serde_json::from_str(text) else { return };
    let _ = unsuitable(&inspected, &instance(&inspected, Timestamp::UNIX_EPOCH));
    let _ = (name_of(&inspected), tcp_ports(&inspected));
    let _ = (no_restart(&inspected), no_own_network(&inspected));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            text in any::<String>(),
            numbers in "[0-9A-F: \\na-z_)]{0,80}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            for text in [text.as_str(), numbers.as_str()] {
                super::proc(text);
                super::container(text);
            }
            super::netlink(&bytes);
        }
    }
}
