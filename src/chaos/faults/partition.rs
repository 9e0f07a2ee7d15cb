//! The network cut between services: who is cut off from whom, and how the side that lost its peers
//! bears it, as its answers tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::chaos::board::Board;
use crate::chaos::plan::{Experiment, Impossible, blast};
use crate::chaos::runtime::{Fault, Target};
use crate::chaos::strike::Struck;
use crate::config::{Chaos, CutKind, ExperimentKind, ServiceKind};
use crate::platform::probe::{Answered, HANGS_AFTER, Sample};

/// Failures that take less than this did not wait for anybody.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Retries that multiply what is usual by more than this are a storm.
const STORM_FACTOR: f64 = 3.0;

/// Cuts every pair that is asked for, in every way that is asked for, where it can be done.
pub fn plan(chaos: &Chaos, eligible: &[&Target]) -> Vec<Result<Experiment, Impossible>> {
    let dependencies =
        chaos.depends_on.iter().flat_map(|(from, to)| to.iter().map(|to| [*from, *to]));
    let pairs: Vec<[ServiceKind; 2]> = if chaos.partition.pairs.is_empty() {
        dependencies.collect()
    } else {
        chaos.partition.pairs.clone()
    };
    let impossible = |why: String| Err((ExperimentKind::Partition, why));
    if pairs.is_empty() {
        let why = "expected pairs of services in chaos.partition.pairs, or chaos.depends_on";
        return vec![impossible(why.into())];
    }
    let of = |service: ServiceKind| -> Vec<&Target> {
        eligible.iter().copied().filter(|target| target.service == Some(service)).collect()
    };
    cuts(&chaos.partition.scenarios, &pairs)
        .into_iter()
        .map(|Cut { from, peers, reject, notes }| {
            let target = match of(from)[..] {
                [target] => target,
                [] => {
                    let why = format!("no target serves {from}, or it may not be disturbed");
                    return impossible(why);
                }
                // A cut of one of them would be hidden by the others.
                ref several => {
                    let names: Vec<&str> = several.iter().map(|one| one.name.as_str()).collect();
                    let names = names.join(", ");
                    return impossible(format!(
                        "{names} all serve {from}: expected one of them in chaos.serves"
                    ));
                }
            };
            let found: Vec<Vec<&Target>> = peers.iter().map(|peer| of(*peer)).collect();
            if found.iter().any(Vec::is_empty) {
                return impossible(format!("not every peer of {from} is a target"));
            }
            let peers = found.into_iter().flatten().cloned().collect();
            let fault = Fault::Cut { peers, reject, length: chaos.partition.length.get() };
            Ok(Experiment {
                kind: ExperimentKind::Partition,
                title: fault.words(target),
                blast: blast(chaos, &[target]),
                strikes: vec![(target.clone(), fault)],
                notes,
            })
        })
        .collect()
}

/// Who is cut off from whom, and how.
struct Cut {
    from: ServiceKind,
    peers: BTreeSet<ServiceKind>,
    reject: bool,
    notes: Vec<String>,
}

/// The cuts that are asked for: one that two scenarios or pairs ask for is made once, and says so.
fn cuts(scenarios: &[CutKind], pairs: &[[ServiceKind; 2]]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for scenario in scenarios {
        let asked: Vec<(ServiceKind, BTreeSet<ServiceKind>)> = match scenario {
            CutKind::Pair | CutKind::Reject => {
                pairs.iter().map(|[from, to]| (*from, [*to].into())).collect()
            }
            CutKind::Isolate => {
                let mut peers: BTreeMap<ServiceKind, BTreeSet<ServiceKind>> = BTreeMap::new();
                pairs.iter().for_each(|[from, to]| {
                    peers.entry(*from).or_default().insert(*to);
                });
                peers.into_iter().collect()
            }
        };
        let reject = *scenario == CutKind::Reject;
        for (from, peers) in asked {
            let same =
                |cut: &&mut Cut| (cut.from, cut.reject) == (from, reject) && cut.peers == peers;
            match cuts.iter_mut().find(same) {
                Some(cut) => {
                    let scenario = scenario.name();
                    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
                    let peers = names.join(", ");
                    cut.notes.push(format!(
                        "asked for once more by `{scenario}`, which cuts {from} off from {peers} alone: \
                         the same cut, made once"
                    ));
                }
                None => cuts.push(Cut { from, peers, reject, notes: Vec::new() }),
            }
        }
    }
    cuts
}

/// How the side that lost its peer behaved, and whether that is a failure.
pub fn conduct(
    experiment: &Experiment,
    struck: &[Struck],
    board: &Board,
) -> Option<(String, bool)> {
    let (target, fault) = experiment.strikes.first()?;
    let first = struck.first()?;
    let (from, to): (Instant, Instant) = first.lasted?;
    if !matches!(fault, Fault::Cut { .. }) {
        return None;
    }
    let samples = board.requests(target.service?, from, to);
    let asked = samples.len() as f64 / (to - from).as_secs_f64().max(1.0);
    let storm = first.connections.and_then(|connections| retry_storm(connections, asked));
    let (words, bad) = classify(&samples).unzip();
    let words: Vec<String> = words.into_iter().chain(storm.clone()).collect();
    if words.is_empty() {
        return None;
    }
    let bad = bad.unwrap_or(false) || storm.is_some();
    Some((format!("{}: {}", target.name, words.join("; ")), bad))
}

/// Whether a service without its peer tries it much more often than before: (connections begun a
/// second before, and since), and how often it was asked something each second.
fn retry_storm((before, since): (f64, f64), asked: f64) -> Option<String> {
    let usual = before.max(asked).max(1.0);
    (since > usual * STORM_FACTOR).then(|| {
        format!("retry storm: {since:.0} connections begun each second, {before:.0} before")
    })
}

/// What requests to a service say of how it bears the loss of a peer.
fn classify(samples: &[Sample]) -> Option<(String, bool)> {
    let n = samples.len();
    if n == 0 {
        return None;
    }
    let failed: Vec<&Sample> =
        samples.iter().filter(|s| matches!(s.answered, Answered::Failed(_))).collect();
    let degraded = samples.iter().filter(|s| s.answered == Answered::Degraded).count();
    let hung = failed.iter().filter(|s| s.latency >= HANGS_AFTER).count();
    let speeds_up = speeds_up(samples);
    if degraded * 2 > n {
        let breaker = if speeds_up { ", breaker open" } else { "" };
        return Some((format!("fallback used{breaker} ({degraded} of {n} answers)"), false));
    }
    if hung * 2 > n {
        return Some((format!("it hangs ({hung} of {n} requests)"), true));
    }
    if failed.len() * 2 > n && speeds_up {
        let failed = failed.len();
        return Some((
            format!("breaker open, no fallback ({failed} of {n} failed at once)"),
            false,
        ));
    }
    if failed.len() * 2 > n {
        return Some((format!("timeouts only ({} of {n} failed)", failed.len()), false));
    }
    Some((format!("it went on without its peer ({} of {n} failed)", failed.len()), false))
}

/// Whether answers came at once in the end, after they had to wait in the beginning.
fn speeds_up(samples: &[Sample]) -> bool {
    let third = samples.len() / 3;
    let median = |part: &[Sample]| {
        let mut latencies: Vec<Duration> = part.iter().map(|s| s.latency).collect();
        latencies.sort_unstable();
        latencies.get(latencies.len() / 2).copied().unwrap_or_default()
    };
    let slowest_first = samples[..third].iter().map(|s| s.latency).max().unwrap_or_default();
    third > 0 && slowest_first > AT_ONCE * 3 && median(&samples[third * 2..]) < AT_ONCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(answers: &[(Answered, u64)]) -> Vec<Sample> {
        let due = Instant::now();
        let sample = |(answered, ms): &(Answered, u64)| Sample {
            service: ServiceKind::Rag,
            probe: "ask".into(),
            due,
            latency: Duration::from_millis(*ms),
            answered: answered.clone(),
        };
        answers.iter().map(sample).collect()
    }

    #[test]
    fn a_service_with_one_peer_is_isolated_by_the_cut_of_the_pair() {
        use CutKind::{Isolate, Pair, Reject};
        use ServiceKind::{Chat, Mcp, Rag};
        let asked = |scenarios: &[CutKind], pairs: &[[ServiceKind; 2]]| {
            let row = |cut: Cut| (cut.from, cut.peers.len(), cut.reject, cut.notes.len());
            cuts(scenarios, pairs).into_iter().map(row).collect::<Vec<_>>()
        };
        let one = [[Rag, Chat]];
        assert_eq!(asked(&[Pair, Isolate], &one), [(Rag, 1, false, 1)]);
        assert_eq!(asked(&[Isolate, Pair], &one), [(Rag, 1, false, 1)], "in whatever order");
        assert_eq!(asked(&[Isolate], &one), [(Rag, 1, false, 0)], "alone it is no duplicate");
        assert_eq!(asked(&[Pair, Reject], &one), [(Rag, 1, false, 0), (Rag, 1, true, 0)]);
        let two = [[Rag, Chat], [Rag, Mcp]];
        let made = asked(&[Pair, Isolate], &two);
        assert_eq!(made, [(Rag, 1, false, 0), (Rag, 1, false, 0), (Rag, 2, false, 0)]);
        let said = cuts(&[Pair, Isolate], &one).remove(0).notes.remove(0);
        assert!(said.contains("`isolate`") && said.contains("rag off from chat alone"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn conduct_is_told_from_answers_and_how_long_they_took() {
        let failed = |ms| (Answered::Failed("down".into()), ms);
        let words = |answers: &[_]| classify(&samples(answers)).expect("samples").0;
        let degraded: Vec<_> =
            [1200, 1200, 1200, 60, 60, 60, 60, 60, 60].map(|ms| (Answered::Degraded, ms)).to_vec();
        assert!(
            words(&degraded).starts_with("fallback used, breaker open"),
            "{}",
            words(&degraded)
        );
        let opened = [1200, 1200, 1200, 1200, 5, 5, 5, 5, 5].map(failed);
        assert!(words(&opened).starts_with("breaker open"), "{}", words(&opened));
        assert!(words(&[1200; 9].map(failed)).starts_with("timeouts only"));
        let (hangs, bad) = classify(&samples(&[3000; 9].map(failed))).expect("samples");
        assert!(hangs.starts_with("it hangs") && bad);
        assert!(words(&vec![(Answered::Well, 60); 9]).starts_with("it went on"));
        assert_eq!(classify(&[]), None);
    }

    #[test]
    fn retries_are_a_storm_only_beyond_what_is_asked_anyway() {
        assert_eq!(retry_storm((0.0, 14.0), 5.0), None, "less than three tries a request");
        assert_eq!(retry_storm((10.0, 25.0), 5.0), None);
        assert!(retry_storm((0.5, 60.0), 5.0).expect("a storm").contains("60 connections"));
    }
}
