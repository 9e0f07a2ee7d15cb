//! A cut in a network namespace: a table of our own whose sets expire in the kernel, so that the
//! cut ends whatever becomes of us.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::procfs::Process;
use super::runtime::RuntimeError;

/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rules that drop (or refuse) everything between a namespace and these addresses, both ways,
/// until the kernel lets the addresses expire.
pub fn rules(table: &str, peers: &[IpAddr], reject: bool, length: Duration) -> String {
    let seconds = length.as_secs().max(1);
    let set = |name: &str, kind: &str, addresses: Vec<String>| {
        let elements = addresses.iter().map(|ip| format!("{ip} timeout {seconds}s"));
        let elements = elements.collect::<Vec<_>>().join(", ");
        let elements = if elements.is_empty() {
            String::new()
        } else {
            format!(" elements = {{ {elements} }}")
        };
        format!("  set {name} {{ type {kind}; flags timeout;{elements} }}\n")
    };
    let of = |v4: bool| peers.iter().filter(move |ip| ip.is_ipv4() == v4).map(ToString::to_string);
    let verdict = |direction: &str| match (reject, direction) {
        (true, "output") => "reject",
        _ => "drop",
    };
    let tcp = if reject { "reject with tcp reset" } else { "drop" };
    let chain = |name: &str, field: &str| {
        let other = verdict(name);
        let rule = |family: &str, set: &str| {
            format!(
                "    {family} {field} @{set} meta l4proto tcp counter {tcp}\n    \
                 {family} {field} @{set} counter {other}\n"
            )
        };
        format!(
            "  chain {name} {{\n    type filter hook {name} priority -300; policy accept;\n{}{}  }}\n",
            rule("ip", "peers4"),
            rule("ip6", "peers6")
        )
    };
    format!(
        "table inet {table} {{\n{}{}{}{}}}\n",
        set("peers4", "ipv4_addr", of(true).collect()),
        set("peers6", "ipv6_addr", of(false).collect()),
        chain("input", "saddr"),
        chain("output", "daddr"),
    )
}

/// Puts rules into the namespace of a process.
///
/// # Errors
/// When the tools are missing, or this user may not.
pub async fn apply(process: Process, rules: &str) -> Result<(), RuntimeError> {
    run(process, &["-f", "-"], Some(rules)).await.map(drop)
}

/// Packets that the table has stopped; none when it is gone.
pub async fn stopped(process: Process, table: &str) -> Option<u64> {
    let listing = run(process, &["list", "table", "inet", table], None).await.ok()?;
    let mut words = listing.split_whitespace().peekable();
    let mut packets = 0;
    while let Some(word) = words.next() {
        if word == "packets" {
            packets += words.peek()?.parse::<u64>().ok()?;
        }
    }
    Some(packets)
}

/// Removes the table. A namespace or a table that is gone needs nothing.
///
/// # Errors
/// When it is still there.
pub async fn remove(process: Process, namespace: &str, table: &str) -> Result<(), RuntimeError> {
    if !is_same(process, namespace) || stopped(process, table).await.is_none() {
        return Ok(());
    }
    run(process, &["delete", "table", "inet", table], None).await.map(drop)
}

/// What is left of the table.
pub async fn residue(process: Process, namespace: &str, table: &str) -> Vec<String> {
    if is_same(process, namespace) && stopped(process, table).await.is_some() {
        vec![format!("nftables table {table} in the network namespace of process {}", process.pid)]
    } else {
        Vec::new()
    }
}

fn is_same(process: Process, namespace: &str) -> bool {
    process.is_alive() && process.network_namespace().as_deref() == Some(namespace)
}

async fn run(
    process: Process,
    arguments: &[&str],
    input: Option<&str>,
) -> Result<String, RuntimeError> {
    let mut child = Command::new("nsenter")
        .args(["-t", &process.pid.to_string(), "-n", "nft"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| RuntimeError::new(format!("cannot run nsenter: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        let written = stdin.write_all(input.unwrap_or_default().as_bytes()).await;
        written.map_err(|error| RuntimeError::new(format!("nft: {error}")))?;
    }
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output
        .map_err(|_| RuntimeError::new("nft did not answer"))?
        .map_err(|error| RuntimeError::new(format!("nft: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint: String = String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
    Err(RuntimeError::new(format!("nft: {}", complaint.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_go_both_ways_and_expire_in_the_kernel() {
        let peers = ["172.18.0.3".parse().expect("v4"), "fd00::3".parse().expect("v6")];
        let text = rules("sd_1", &peers, false, Duration::from_secs(30));
        assert!(text.contains("table inet sd_1 {"));
        assert!(text.contains("elements = { 172.18.0.3 timeout 30s }"), "{text}");
        assert!(text.contains("elements = { fd00::3 timeout 30s }"), "{text}");
        for rule in
            ["ip saddr @peers4", "ip daddr @peers4", "ip6 saddr @peers6", "ip6 daddr @peers6"]
        {
            assert!(text.contains(&format!("{rule} counter drop")), "{text}");
        }
        let refused = rules("sd_1", &peers, true, Duration::from_secs(30));
        assert!(refused.contains("reject with tcp reset"), "{refused}");
    }
}
