//! A cut in the network namespace of the calling thread, by nf_tables or, where the kernel has none,
//! by iptables. Both expire in the kernel, and both are ours by their name alone.

mod iptables;
mod namespace;
pub(super) mod nft;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::namespace::{enter, in_namespace_of};
use crate::config::FirewallChoice;

/// What makes a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firewall {
    /// A table of our own, by netlink.
    #[default]
    Nftables,
    /// A chain of our own, by the tools of iptables.
    Iptables,
}

impl Firewall {
    /// The one to use in this thread's network namespace.
    ///
    /// # Errors
    /// When neither is there, or this thread may not.
    pub fn choose(choice: FirewallChoice) -> io::Result<Self> {
        match choice {
            FirewallChoice::Nftables => Ok(Self::Nftables),
            FirewallChoice::Iptables => iptables::usable().map(|()| Self::Iptables),
            FirewallChoice::Auto if nft::supported()? => Ok(Self::Nftables),
            FirewallChoice::Auto => iptables::usable().map(|()| Self::Iptables),
        }
    }

    /// What a cut of this name is, in words.
    pub fn words(self, name: &str) -> String {
        match self {
            Self::Nftables => format!("nftables table {name}"),
            Self::Iptables => format!("iptables chain {}", iptables::chain(name)),
        }
    }

    /// Drops (or refuses) everything between this thread's network namespace and these addresses,
    /// both ways, for no longer than this.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(
        self,
        name: &str,
        peers: &[IpAddr],
        reject: bool,
        length: Duration,
    ) -> io::Result<()> {
        match self {
            Self::Nftables => nft::cut(name, peers, reject, length),
            Self::Iptables => iptables::cut(name, peers, reject, length),
        }
    }

    /// Removes a cut, and looks whether it is gone. One that is gone needs nothing.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(self, name: &str) -> io::Result<()> {
        match self {
            Self::Nftables => nft::remove(name)?,
            Self::Iptables => iptables::remove(name)?,
        }
        match self.is_there(name)? {
            true => Err(io::Error::other(format!("the {} is still there", self.words(name)))),
            false => Ok(()),
        }
    }

    /// Whether a cut of this name is there, be it expired or not.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn is_there(self, name: &str) -> io::Result<bool> {
        match self {
            Self::Nftables => nft::is_there(name),
            Self::Iptables => iptables::is_there(name),
        }
    }

    /// Packets that a cut has stopped.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn stopped(self, name: &str) -> io::Result<u64> {
        match self {
            Self::Nftables => nft::stopped(name),
            Self::Iptables => iptables::stopped(name),
        }
    }
}
