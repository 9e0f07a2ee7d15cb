//! What `/proc` says of TCP: in the network namespace of the calling thread, and of processes.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::procfs::Process;

/// State of a socket that waits for connections.
const LISTENS: &str = "0A";

/// Connections that were begun here since there is this namespace. A packet that is sent again does
/// not begin another.
pub fn opened() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
    active_opens(&text).unwrap_or(0)
}

/// Where these peers are listening, as far as connections to them from here tell.
pub fn peers(peers: &[IpAddr]) -> Vec<SocketAddr> {
    peers_in(&tables("thread-self"), peers)
}

/// The ports on which these processes of one network namespace listen, whoever else is in it.
pub fn listening(processes: &[Process]) -> BTreeSet<u16> {
    let Some(first) = processes.first() else { return BTreeSet::new() };
    let own: BTreeSet<u64> = processes.iter().flat_map(|process| process.sockets()).collect();
    let tables = tables(&first.pid.to_string());
    let rows = tables.lines().filter_map(row).filter(|row| row.listens);
    let rows = rows.filter(|row| row.socket.is_some_and(|socket| own.contains(&socket)));
    rows.map(|row| row.local.port()).collect()
}

/// Every TCP socket of the network namespace of a process, over both versions of IP.
fn tables(process: &str) -> String {
    let read = |file| fs::read_to_string(format!("/proc/{process}/net/{file}"));
    ["tcp", "tcp6"].into_iter().filter_map(|file| read(file).ok()).collect()
}

/// As [`peers`], by what the tables say.
pub(super) fn peers_in(tables: &str, peers: &[IpAddr]) -> Vec<SocketAddr> {
    let rows: Vec<Row> = tables.lines().filter_map(row).collect();
    listening_peers(&rows, peers)
}

struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    listens: bool,
    /// Its number.
    socket: Option<u64>,
}

/// A connection whose own end listens here was begun by the other, whose port means nothing.
fn listening_peers(rows: &[Row], peers: &[IpAddr]) -> Vec<SocketAddr> {
    let own: BTreeSet<u16> = rows.iter().filter(|r| r.listens).map(|r| r.local.port()).collect();
    let begun = rows.iter().filter(|row| !own.contains(&row.local.port()));
    let to_peers = begun.map(|row| row.remote).filter(|remote| peers.contains(&remote.ip()));
    to_peers.collect::<BTreeSet<_>>().into_iter().collect()
}

fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let remote = address(fields.next()?)?;
    let listens = fields.next()? == LISTENS;
    // After queues, timers, tries, user and patience.
    let socket = fields.nth(5).and_then(|number| number.parse().ok());
    Some(Row { local, remote, listens, socket })
}

/// `0100007F:1F90`: words of the address as this machine orders their bytes, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

pub(super) fn active_opens(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|name| name == "ActiveOpens")?;
    values.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_tell_where_a_peer_listens() {
        let table = "  sl  local_address rem_address   st\n\
             0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n\
             1: 0B4D1FAC:1F90 0A4D1FAC:D431 01 00000000:00000000\n\
             2: 0B4D1FAC:C001 0A4D1FAC:1F90 01 00000000:00000000\n\
             3: 0B4D1FAC:C002 0C4D1FAC:1F90 06 00000000:00000000\n\
             4: 0000000000000000FFFF00000B4D1FAC:C003 0000000000000000FFFF00000A4D1FAC:2328 01\n";
        assert_eq!(table.lines().filter_map(row).count(), 5);
        let chat: IpAddr = "172.31.77.10".parse().expect("address");
        let found = peers_in(table, &[chat]);
        assert_eq!(found, [SocketAddr::new(chat, 8080), SocketAddr::new(chat, 9000)]);
    }

    #[test]
    fn a_process_listens_where_it_has_a_socket_that_does() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("address").port();
        let own = Process::now(std::process::id()).expect("it runs");
        assert!(listening(&[own]).contains(&port));
        // Another process of the same namespace does not.
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("started");
        let other = listening(&[Process::now(child.id()).expect("it runs")]);
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(!other.contains(&port), "{other:?}");
        assert!(listening(&[]).is_empty());
    }

    #[test]
    fn connections_begun_are_counted() {
        let text =
            "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm ActiveOpens PassiveOpens\nTcp: 1 42 7\n";
        assert_eq!(active_opens(text), Some(42));
        assert_eq!(active_opens("Tcp: ActiveOpens"), None);
        let before = opened();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let _open = std::net::TcpStream::connect(listener.local_addr().expect("address"));
        assert!(opened() > before);
    }
}
