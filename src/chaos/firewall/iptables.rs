//! A cut by iptables, for kernels without nf_tables: a chain of our own, to which one rule in INPUT
//! and one in OUTPUT jump. Its rules end in the kernel by `-m time`, which goes by the clock of the
//! machine on which this runs, in whole seconds. Made and removed in one commit each.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Where the tools are, for users whose path leaves the administrator's folders out.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
/// Seconds for which another user of iptables is waited for.
const LOCK_SECONDS: &str = "5";

/// The tools of an address family, and what refuses a datagram in its words.
struct Family {
    /// Older first: one that is built on nf_tables is no use without them.
    tools: [&'static str; 2],
    unreachable: &'static str,
    is_of: fn(&IpAddr) -> bool,
}

const FAMILIES: [Family; 2] = [
    Family {
        tools: ["iptables-legacy", "iptables"],
        unreachable: "icmp-port-unreachable",
        is_of: IpAddr::is_ipv4,
    },
    Family {
        tools: ["ip6tables-legacy", "ip6tables"],
        unreachable: "icmp6-port-unreachable",
        is_of: IpAddr::is_ipv6,
    },
];

/// The chain of a cut: names of chains are short.
pub fn chain(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("shakedown_{digest}")
}

/// Whether there are tools that work here.
///
/// # Errors
/// When there are none, or this user may not use them.
pub fn usable() -> io::Result<()> {
    let missing = || {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel has no nf_tables, and there is no iptables: expected one of them",
        )
    };
    FAMILIES[0].tool().ok_or_else(missing)?;
    FAMILIES[0].rules().map(drop)
}

/// See [`super::Firewall::cut`].
pub fn cut(name: &str, peers: &[IpAddr], reject: bool, length: Duration) -> io::Result<()> {
    let until = Timestamp::now().saturating_add(length).map_err(io::Error::other)?;
    for family in &FAMILIES {
        let peers: Vec<&IpAddr> = peers.iter().filter(|peer| (family.is_of)(peer)).collect();
        if peers.is_empty() {
            continue;
        }
        if let Err(error) = family.commit(&additions(family, name, &peers, reject, until)) {
            // Never one half of a cut.
            return remove(name).and(Err(error));
        }
    }
    Ok(())
}

/// See [`super::Firewall::remove`].
pub fn remove(name: &str) -> io::Result<()> {
    let chain = chain(name);
    for family in installed() {
        if let Some(removals) = removals(&family.rules()?, &chain) {
            family.commit(&removals)?;
        }
    }
    Ok(())
}

/// See [`super::Firewall::is_there`].
pub fn is_there(name: &str) -> io::Result<bool> {
    let chain = chain(name);
    for family in installed() {
        if removals(&family.rules()?, &chain).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// See [`super::Firewall::stopped`].
pub fn stopped(name: &str) -> io::Result<u64> {
    let chain = chain(name);
    let mut packets = 0;
    for family in installed() {
        packets += counted(&family.rules()?, &chain);
    }
    Ok(packets)
}

/// The families whose tools are there.
fn installed() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(|family| family.tool().is_some())
}

impl Family {
    /// The first of its tools that is installed.
    fn tool(&self) -> Option<&'static str> {
        let is_in = |folder: &str, tool: &str| std::path::Path::new(folder).join(tool).exists();
        self.tools.into_iter().find(|tool| FOLDERS.iter().any(|folder| is_in(folder, tool)))
    }

    /// Every rule of the filter table with its counters, as arguments.
    fn rules(&self) -> io::Result<String> {
        self.run("", &["-w", LOCK_SECONDS, "-v", "-S"], "")
    }

    /// Makes all of the changes or none; what is there already stays.
    fn commit(&self, changes: &str) -> io::Result<()> {
        let table = format!("*filter\n{changes}COMMIT\n");
        self.run("-restore", &["-w", LOCK_SECONDS, "--noflush"], &table).map(drop)
    }

    fn run(&self, suffix: &str, arguments: &[&str], input: &str) -> io::Result<String> {
        let tool = self.tool().ok_or_else(|| {
            let expected = format!("expected {} to be installed", self.tools[1]);
            io::Error::new(io::ErrorKind::NotFound, expected)
        })?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new(format!("{tool}{suffix}"))
            .args(arguments)
            .env("PATH", format!("{path}:{}", FOLDERS.join(":")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(io::Error::other(format!("{tool}{suffix}: {}", text(&output.stderr)))),
        }
    }
}

/// What a cut adds, in the language of `iptables-restore`.
fn additions(
    family: &Family,
    name: &str,
    peers: &[&IpAddr],
    reject: bool,
    until: Timestamp,
) -> String {
    let chain = chain(name);
    // Whole seconds: the last one begun counts in full.
    let until = until.strftime("%Y-%m-%dT%H:%M:%S");
    let ours = format!("-m time --datestop {until} -m comment --comment {name}");
    let mut text = format!(":{chain} - [0:0]\n");
    for peer in peers {
        for from_or_to in ["-s", "-d"] {
            let mut rule = |more: &str| {
                let _ = writeln!(text, "-A {chain} {from_or_to} {peer} {ours} {more}");
            };
            if reject {
                rule("-p tcp -j REJECT --reject-with tcp-reset");
            }
            match reject && from_or_to == "-d" {
                true => rule(&format!("-j REJECT --reject-with {}", family.unreachable)),
                false => rule("-j DROP"),
            }
        }
    }
    // Before whatever lets established connections through.
    for hook in ["INPUT", "OUTPUT"] {
        let _ = writeln!(text, "-I {hook} 1 -m comment --comment {name} -j {chain}");
    }
    text
}

/// What removes a chain and every rule that leads to it; none when nothing of it is there.
fn removals(rules: &str, chain: &str) -> Option<String> {
    let target = format!("-j {chain}");
    let jumps = rules.lines().filter(|line| line.ends_with(&target));
    let mut text: String = jumps
        .filter_map(|line| line.strip_prefix("-A "))
        .map(|rule| format!("-D {}\n", without_counters(rule)))
        .collect();
    if rules.lines().any(|line| line.strip_prefix("-N ") == Some(chain)) {
        let _ = write!(text, "-F {chain}\n-X {chain}\n");
    }
    (!text.is_empty()).then_some(text)
}

/// A rule without `-c PACKETS BYTES`.
fn without_counters(rule: &str) -> String {
    let mut kept = Vec::new();
    let mut words = rule.split(' ');
    while let Some(word) = words.next() {
        match word {
            "-c" => drop(words.nth(1)),
            word => kept.push(word),
        }
    }
    kept.join(" ")
}

/// Packets that met a rule of this chain.
fn counted(rules: &str, chain: &str) -> u64 {
    let of_ours = format!("-A {chain} ");
    let rules = rules.lines().filter(|line| line.starts_with(&of_ours));
    let packets = rules.filter_map(|line| {
        let mut words = line.split(' ').skip_while(|word| *word != "-c");
        words.nth(1)?.parse::<u64>().ok()
    });
    packets.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::firewall::in_namespace_of;
    use crate::chaos::firewall::tests::{OwnNamespace, seen_there};

    #[test]
    fn what_is_ours_is_told_from_what_is_not() {
        let rules = "-P INPUT ACCEPT -c 9 9\n-N shakedown_ab\n-N other\n\
                     -A INPUT -c 3 180 -m comment --comment t -j shakedown_ab\n\
                     -A INPUT -s 10.0.0.9/32 -c 1 60 -j DROP\n\
                     -A shakedown_ab -s 10.0.0.2/32 -c 2 120 -j DROP\n\
                     -A shakedown_ab -d 10.0.0.2/32 -c 5 300 -j DROP";
        assert_eq!(counted(rules, "shakedown_ab"), 7);
        let removed = "-D INPUT -m comment --comment t -j shakedown_ab\n\
                       -F shakedown_ab\n-X shakedown_ab\n";
        assert_eq!(removals(rules, "shakedown_ab").as_deref(), Some(removed));
        assert_eq!(removals(rules, "shakedown_cd"), None);
    }

    #[test]
    fn a_chain_is_made_as_a_whole_and_leaves_the_rules_of_others_alone() {
        let Some(namespace) = OwnNamespace::new() else {
            return eprintln!("skipped: this user may not make a network namespace");
        };
        let process = namespace.process;
        if let Err(error) = in_namespace_of(process, usable) {
            return eprintln!("skipped: {error}");
        }
        let tool = FAMILIES[0].tool().expect("usable");
        let save = format!("{tool}-save");
        let other = [tool, "-A", "INPUT", "-s", "127.0.0.9", "-j", "DROP"];
        seen_there(process, &other);
        let name = "shakedown_t_1";
        let peers: Vec<IpAddr> =
            vec!["127.0.0.2".parse().expect("v4"), "fd00::3".parse().expect("v6")];
        for reject in [false, true] {
            let minute = Duration::from_secs(60);
            in_namespace_of(process, || cut(name, &peers, reject, minute)).expect("cut");
            let seen = seen_there(process, &[&save]);
            for part in [&chain(name), "-s 127.0.0.2/32", "-d 127.0.0.2/32", "--datestop", name] {
                assert!(seen.contains(part), "{part}: {seen}");
            }
            assert_eq!(seen.contains("tcp-reset"), reject, "{seen}");
            let jump = seen.find("-A INPUT -m comment").expect("a jump");
            assert!(
                jump < seen.find("127.0.0.9").expect("the other's"),
                "ours comes first: {seen}"
            );
            assert!(in_namespace_of(process, || is_there(name)).expect("listed"));
            assert_eq!(in_namespace_of(process, || stopped(name)).expect("counted"), 0);
            // Made twice, it is still removed as a whole.
            in_namespace_of(process, || cut(name, &peers, reject, minute)).expect("cut again");
            for _ in 0..2 {
                in_namespace_of(process, || remove(name)).expect("removed");
            }
            let seen = seen_there(process, &[&save]);
            assert!(!seen.contains("shakedown") && seen.contains("127.0.0.9"), "{seen}");
        }
    }
}
