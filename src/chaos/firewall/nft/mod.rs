//! A cut in a network namespace: a table of our own whose sets expire in the kernel, so that the
//! cut ends whatever becomes of us. Spoken to the kernel directly: no tool has to be installed,
//! neither here nor in an image.

mod message;
mod socket;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use self::message::{APPEND, Attributes, CREATE, EXCLUSIVE, Kind, attributes, find};
use self::socket::Socket;

/// Before everything else that netfilter does: before connection tracking, and before the address
/// translation by which an engine answers names.
const PRIORITY: i32 = -300;
const HOOK_INPUT: u32 = 1;
const HOOK_OUTPUT: u32 = 3;
const TCP: u8 = 6;
/// Attribute of a rule or table that holds its table's name.
const TABLE_NAME: u16 = 1;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ITEM: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COUNTER_PACKETS: u16 = 2;

/// An address family as the rules see it.
struct Family {
    set: &'static str,
    /// `nfproto` of its packets.
    protocol: u8,
    /// The type by which `nft` names its addresses.
    kind: u32,
    bytes: u32,
    source: u32,
    destination: u32,
}

const FAMILIES: [Family; 2] = [
    Family { set: "peers4", protocol: 2, kind: 7, bytes: 4, source: 12, destination: 16 },
    Family { set: "peers6", protocol: 10, kind: 8, bytes: 16, source: 8, destination: 24 },
];

/// Drops (or refuses) everything between this thread's network namespace and these addresses, both
/// ways, until the kernel lets the addresses expire.
///
/// # Errors
/// When the kernel has no nf_tables, or this thread may not.
pub fn cut(table: &str, peers: &[IpAddr], reject: bool, length: Duration) -> io::Result<()> {
    Socket::open()?.change(&changes(table, peers, reject, length))
}

/// Whether the kernel has nf_tables.
///
/// # Errors
/// When it has and this thread may not use it, or it does not answer.
pub fn supported() -> io::Result<bool> {
    let listed = Socket::open()
        .and_then(|socket| socket.list(Kind::GetTable, &Attributes::default()).map(drop));
    match listed {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a kernel says that knows no netfilter by netlink, or no nf_tables in it.
fn is_missing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unknown = [Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT, Errno::OPNOTSUPP, Errno::INVAL];
    let known = Errno::from_io_error(error).is_some_and(|errno| unknown.contains(&errno));
    known || error.kind() == io::ErrorKind::InvalidData
}

/// Removes the table from this thread's network namespace, if it is there.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(table: &str) -> io::Result<()> {
    if is_there(table)? {
        let named = Attributes::default().name(TABLE_NAME, table);
        Socket::open()?.change(&[(Kind::DeleteTable, 0, named)])?;
    }
    Ok(())
}

/// Whether the table is in this thread's network namespace.
///
/// # Errors
/// When the kernel does not say.
pub fn is_there(table: &str) -> io::Result<bool> {
    let tables = Socket::open()?.list(Kind::GetTable, &Attributes::default())?;
    Ok(tables.iter().any(|item| is_named(item, table)))
}

/// Packets that the table has stopped.
///
/// # Errors
/// When the kernel does not say.
pub fn stopped(table: &str) -> io::Result<u64> {
    let named = Attributes::default().name(TABLE_NAME, table);
    let rules = Socket::open()?.list(Kind::GetRule, &named)?;
    let of_ours = rules.iter().filter(|rule| is_named(rule, table));
    Ok(of_ours.map(|rule| packets(rule)).fold(0, u64::saturating_add))
}

fn is_named(item: &[u8], table: &str) -> bool {
    find(item, TABLE_NAME).and_then(|name| name.strip_suffix(b"\0")) == Some(table.as_bytes())
}

fn packets(rule: &[u8]) -> u64 {
    let expressions = find(rule, RULE_EXPRESSIONS).unwrap_or_default();
    let counted = attributes(expressions).into_iter().filter_map(|(_, expression)| {
        let is_counter = find(expression, EXPRESSION_NAME)? == b"counter\0";
        let data = find(expression, EXPRESSION_DATA).filter(|_| is_counter)?;
        Some(u64::from_be_bytes(find(data, COUNTER_PACKETS)?.try_into().ok()?))
    });
    counted.fold(0, u64::saturating_add)
}

/// The packets that a listing tells of, whoever wrote it.
#[cfg(any(test, fuzzing))]
pub fn packets_in(listing: &[u8]) -> u64 {
    let items = message::answers(listing).into_iter().filter_map(|answer| match answer {
        message::Answer::Item(rule) => Some(packets(&rule)),
        message::Answer::Acknowledged(_) | message::Answer::Done => None,
    });
    items.fold(0, u64::saturating_add)
}

fn changes(
    table: &str,
    peers: &[IpAddr],
    reject: bool,
    length: Duration,
) -> Vec<(Kind, u16, Attributes)> {
    let of_table = || Attributes::default().name(TABLE_NAME, table);
    let mut changes = vec![(Kind::NewTable, CREATE | EXCLUSIVE, of_table())];
    for (id, family) in (1..).zip(&FAMILIES) {
        changes.push((Kind::NewSet, CREATE | EXCLUSIVE, set(of_table(), family, id)));
        let addresses = peers.iter().map(octets).filter(|of| of.len() == family.bytes as usize);
        let addresses: Vec<Vec<u8>> = addresses.collect();
        if !addresses.is_empty() {
            let elements = elements(of_table(), family, &addresses, length);
            changes.push((Kind::NewElements, CREATE, elements));
        }
    }
    for (chain, hook) in [("input", HOOK_INPUT), ("output", HOOK_OUTPUT)] {
        changes.push((Kind::NewChain, CREATE, base_chain(of_table(), chain, hook)));
        for family in &FAMILIES {
            for tcp in [true, false] {
                let expressions = rule(family, hook == HOOK_INPUT, tcp, reject);
                let rule = of_table().name(2, chain).nested(RULE_EXPRESSIONS, expressions);
                changes.push((Kind::NewRule, CREATE | APPEND, rule));
            }
        }
    }
    changes
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn set(of_table: Attributes, family: &Family, id: u32) -> Attributes {
    const TIMEOUT: u32 = 0x10;
    let named = of_table.name(2, family.set).number(3, TIMEOUT);
    named.number(4, family.kind).number(5, family.bytes).number(10, id)
}

fn elements(
    of_table: Attributes,
    family: &Family,
    addresses: &[Vec<u8>],
    length: Duration,
) -> Attributes {
    let milliseconds = (length.as_millis() as u64).max(1);
    let list = addresses.iter().fold(Attributes::default(), |list, address| {
        let key = Attributes::default().bytes(1, address);
        list.nested(LIST_ITEM, Attributes::default().nested(1, key).long(4, milliseconds))
    });
    of_table.name(2, family.set).nested(3, list)
}

fn base_chain(of_table: Attributes, name: &str, hook: u32) -> Attributes {
    let hook = Attributes::default().number(1, hook).bytes(2, &PRIORITY.to_be_bytes());
    of_table.name(3, name).nested(4, hook).name(7, "filter")
}

/// What meets a packet of this family from (or to) a peer: it is counted, and goes no further.
fn rule(family: &Family, from_peer: bool, tcp: bool, reject: bool) -> Attributes {
    const NFPROTO: u32 = 15;
    const L4PROTO: u32 = 16;
    let load = |key| Attributes::default().number(2, key).number(1, 1);
    let equals = |value: u8| {
        let data = Attributes::default().bytes(1, &[value]);
        Attributes::default().number(1, 1).number(2, 0).nested(3, data)
    };
    let offset = if from_peer { family.source } else { family.destination };
    let network_header = 1;
    let payload = Attributes::default().number(1, 1).number(2, network_header);
    let payload = payload.number(3, offset).number(4, family.bytes);
    let mut expressions = vec![
        ("meta", load(NFPROTO)),
        ("cmp", equals(family.protocol)),
        ("payload", payload),
        ("lookup", Attributes::default().name(1, family.set).number(2, 1)),
    ];
    if tcp {
        expressions.extend([("meta", load(L4PROTO)), ("cmp", equals(TCP))]);
    }
    expressions.push(("counter", Attributes::default().long(1, 0).long(2, 0)));
    expressions.push(match (reject, tcp, from_peer) {
        (true, true, _) => ("reject", Attributes::default().number(1, 1)),
        // Port unreachable, in the words of whichever family it is.
        (true, false, false) => ("reject", Attributes::default().number(1, 2).bytes(2, &[1])),
        _ => ("immediate", drop_it()),
    });
    expressions.into_iter().fold(Attributes::default(), |list, (name, data)| {
        let expression = Attributes::default().name(EXPRESSION_NAME, name);
        list.nested(LIST_ITEM, expression.nested(EXPRESSION_DATA, data))
    })
}

fn drop_it() -> Attributes {
    let verdict = Attributes::default().number(1, 0);
    Attributes::default().number(1, 0).nested(2, Attributes::default().nested(2, verdict))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::chaos::firewall::in_namespace_of;
    use crate::chaos::firewall::tests::{OwnNamespace, nft_listing};

    #[test]
    fn the_kernel_takes_the_cut_counts_and_lets_it_expire() {
        let Some(namespace) = OwnNamespace::new() else {
            return eprintln!("skipped: this user may not make a network namespace");
        };
        let process = namespace.process;
        let peers: Vec<IpAddr> =
            vec!["127.0.0.2".parse().expect("v4"), "fd00::3".parse().expect("v6")];
        let length = Duration::from_secs(3);
        let outcome = in_namespace_of(process, || cut("shakedown_t_1", &peers, false, length));
        match outcome {
            Err(error) if is_missing(&error) => {
                eprintln!("skipped: no nf_tables here: {error}");
            }
            outcome => {
                outcome.expect("cut");
                let there = in_namespace_of(process, || is_there("shakedown_t_1")).expect("listed");
                assert!(there);
                assert_eq!(in_namespace_of(process, || stopped("shakedown_t_1")).expect("0"), 0);
                let again = in_namespace_of(process, || cut("shakedown_t_1", &peers, true, length));
                assert!(again.is_err(), "a table of this name is there");
                if Command::new("nft").arg("--version").output().is_ok() {
                    let listing = nft_listing(process);
                    for part in ["table inet shakedown_t_1", "127.0.0.2", "expires", "fd00::3"] {
                        assert!(listing.contains(part), "{part}: {listing}");
                    }
                    let drops = "ip daddr @peers4 counter packets 0 bytes 0 drop";
                    assert!(listing.contains(drops), "{listing}");
                }
                for _ in 0..2 {
                    in_namespace_of(process, || remove("shakedown_t_1")).expect("removed");
                }
                assert!(!in_namespace_of(process, || is_there("shakedown_t_1")).expect("listed"));
            }
        }
    }
}
