//! The four experiments on containers of every kind.

use serde_json::{Value, json};

use shakedown::run::journal;

use crate::platform::{NETWORK, Platform, chains, import, inspected, pid, residue, rules};
use crate::support::wait_for;

/// The notes of the phase's only experiment, and the experiment.
fn only(phase: &Value) -> (String, &Value) {
    let experiment = &phase["chaos"]["experiments"][0];
    (experiment["notes"].to_string(), experiment)
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn four_experiments_on_containers_and_a_database_that_is_never_touched() {
    let platform = Platform::new();
    let options = ["--network", NETWORK, "--restart", "always"];
    platform.run("innocent", &options, &["/bin/postgres"]);
    let store = (pid("innocent"), inspected("innocent")["RestartCount"].clone());
    let scenarios = "chaos.partition.scenarios=[pair, reject, isolate]";
    let (code, phase) = platform.chaos(&[scenarios]);
    assert_eq!(code, Some(0), "{phase:#}");
    let section = &phase["chaos"];
    assert_eq!(section["coverage"], "4/4");
    assert!(section["excluded"]["innocent"].as_str().expect("excluded").contains("postgres"));
    for experiment in section["experiments"].as_array().expect("experiments") {
        assert_eq!(
            (&experiment["verdict"], &experiment["effective"]),
            (&json!("pass"), &json!(true))
        );
        if experiment["kind"] == "partition" {
            let notes = experiment["notes"].to_string();
            assert!(notes.contains("fallback used"), "{experiment}");
            assert!(notes.contains("fresh connections got through"), "{experiment}");
            let evidence = experiment["evidence"].to_string();
            assert!(evidence.contains("0 of 1 addresses can be connected to"), "{experiment}");
        }
    }
    for name in ["chat", "rag", "mcp"] {
        assert_eq!(inspected(name)["RestartCount"], 1, "{name} was brought back by its policy");
    }
    assert_eq!((pid("innocent"), inspected("innocent")["RestartCount"].clone()), store);
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn every_policy_brings_back_what_was_killed_whatever_it_does_with_signals() {
    let platform = Platform::new();
    // No shell, no library, no init: one program in an empty file system.
    let scratch = platform.place.path().join("scratch");
    std::fs::create_dir_all(&scratch).expect("made");
    std::fs::copy("/bin/busybox", scratch.join("sleep")).expect("busybox-static is installed");
    import(&scratch, "shakedown-scratch:1");
    let handles = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"];
    let ignores = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"];
    let on = |policy: &'static str| ["--network", NETWORK, "--restart", policy];
    platform.run("stopless", &on("unless-stopped"), &handles);
    platform.run("failing", &on("on-failure:3"), &ignores);
    platform.run("never", &on("no"), &handles);
    let label = crate::platform::LABEL;
    let base = ["run", "-d", "--name", "scratch", "--label", label, "--restart", "always"];
    crate::platform::docker(&[&base[..], &["shakedown-scratch:1", "/sleep", "1000"]].concat());

    let all = ["chaos.experiments=[kill]", "chaos.kill.count=9"];
    let (code, phase) = platform.chaos(&all);
    let (notes, experiment) = only(&phase);
    assert_eq!(code, Some(0), "{experiment:#}");
    for name in ["chat", "rag", "mcp", "stopless", "failing", "scratch"] {
        assert_eq!(inspected(name)["RestartCount"], 1, "{name} was killed once");
        assert!(notes.contains(&format!("{name} came back by its restart policy")), "{notes}");
    }
    assert_eq!(inspected("never")["RestartCount"], 0);
    assert!(phase["chaos"]["excluded"]["never"].to_string().contains("no restart policy"));
    for timeline in experiment["timelines"].as_array().expect("timelines") {
        let moments = timeline["moments"].as_array().expect("moments");
        let at = |kind: &str| {
            let moment = moments.iter().find(|moment| moment["kind"] == kind);
            moment.and_then(|m| m["t_rel_ms"].as_f64()).unwrap_or_else(|| panic!("{timeline}"))
        };
        assert!(at("died") <= at("started") && at("started") <= at("stable"), "{timeline}");
    }
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_slow_starter_is_waited_for_and_a_crash_looper_is_never_called_well() {
    let platform = Platform::without(&["mcp"]);
    let starts = "sleep 4; exec httpd -f -p 8080 -h /www";
    let health = "/bin/busybox wget -q -O /dev/null http://127.0.0.1:8080/health";
    let options = ["--network", NETWORK, "--ip", "172.31.77.12", "--restart", "always"];
    let healthy =
        ["--health-cmd", health, "--health-interval", "1s", "--health-start-period", "9s"];
    platform.run("mcp", &[&options[..], &healthy].concat(), &["/bin/sh", "-c", starts]);
    wait_for("the slow starter", || {
        (inspected("mcp")["State"]["Health"]["Status"] == "healthy").then_some(())
    });
    let names = "chaos.docker.names=[mcp]";
    let (code, phase) = platform.chaos(&["chaos.experiments=[kill]", "chaos.kill.count=1", names]);
    let (_, experiment) = only(&phase);
    assert_eq!(code, Some(0), "{experiment:#}");
    assert!(experiment["recovery_ms"].as_f64() >= Some(4000.0), "{experiment:#}");
    let moments = experiment["timelines"][0]["moments"].to_string();
    assert!(moments.contains("healthy"), "{moments}");

    let looper = ["/bin/sh", "-c", "sleep 0.3; exit 1"];
    platform.run("looper", &["--restart", "always"], &looper);
    let names = "chaos.docker.names=[looper]";
    let settings = ["chaos.experiments=[kill]", "chaos.kill.count=1", names];
    let (code, phase) = platform.chaos(&[&settings[..], &["chaos.kill.within=5s"]].concat());
    assert_eq!(code, Some(3), "{phase:#}");
    let said = phase.to_string();
    let reasons = ["it is restarting", "does not stay up", "is not running", "it is exited"];
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{phase:#}");
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_service_is_told_by_how_it_bears_the_loss_of_its_peer() {
    let platform = Platform::new();
    for (cgi, told, verdict) in [
        ("plain", "timeouts only", "pass"),
        ("breaker", "breaker open", "pass"),
        ("storm", "retry storm", "fail"),
    ] {
        let path = format!("chaos.probes.rag.request.path=/cgi-bin/{cgi}");
        let query = format!("services.rag.query.path=/cgi-bin/{cgi}");
        let longer = "chaos.partition.length=9s";
        let (_, phase) = platform.chaos(&["chaos.experiments=[partition]", &path, &query, longer]);
        let (notes, experiment) = only(&phase);
        assert!(notes.contains(told), "{cgi}: {experiment:#}");
        assert_eq!(experiment["verdict"], verdict, "{cgi}: {experiment:#}");
    }
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn memory_that_would_kill_something_is_refused_unless_it_is_allowed() {
    let platform = Platform::new();
    let settings = ["chaos.experiments=[memory]", "chaos.memory.mebibytes=400"];
    let (code, phase) = platform.chaos(&settings);
    let (_, experiment) = only(&phase);
    assert_eq!((code, &experiment["verdict"]), (Some(3), &json!("inconclusive")), "{experiment}");
    assert!(experiment["reason"].to_string().contains("would kill"), "{experiment}");

    let allowed = [&settings[..], &["chaos.memory.allow_oom=true"]].concat();
    for more in [&[][..], &["chaos.docker.helpers=containers"]] {
        let (_, phase) = platform.chaos(&[&allowed[..], more].concat());
        let (notes, experiment) = only(&phase);
        assert!(notes.contains("kills the helper first"), "{experiment}");
        assert_eq!(experiment["effective"], true, "{experiment}");
        for name in ["chat", "rag", "mcp"] {
            assert_eq!(inspected(name)["RestartCount"], 0, "the helper dies, not {name}");
        }
        assert_eq!(residue(), Vec::<String>::new());
    }
    // Without a limit nothing in the group can be killed, and that is a finding.
    platform.run(
        "limitless",
        &["--network", NETWORK, "--restart", "always"],
        &["/bin/sleep", "999"],
    );
    let limitless = ["chaos.experiments=[memory]", "chaos.docker.names=[limitless]"];
    let (_, phase) = platform.chaos(&limitless);
    let (notes, experiment) = only(&phase);
    assert!(notes.contains("no memory limit"), "{experiment:#}");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn iptables_cut_where_nf_tables_may_not_be_used() {
    let platform = Platform::new();
    let settings = [
        "chaos.experiments=[partition]",
        "chaos.partition.firewall=iptables",
        "chaos.partition.scenarios=[pair, reject]",
    ];
    let child = platform.start(&settings);
    let run = platform.place.run();
    wait_for("a fault", || {
        journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
    });
    let (seen, tables) = (chains("rag"), rules("rag"));
    for part in ["--datestop", "-j shakedown_", "--comment shakedown_", "-j DROP"] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!tables.contains("shakedown"), "no table of nftables: {tables}");
    let (code, phase) = platform.result(child);
    assert_eq!(code, Some(0), "{phase:#}");
    let experiments = phase["chaos"]["experiments"].as_array().expect("experiments");
    assert_eq!(experiments.len(), 2);
    for experiment in experiments {
        assert_eq!(experiment["effective"], true, "{experiment:#}");
        let evidence = experiment["evidence"].to_string();
        assert!(evidence.contains("0 of 1 addresses can be connected to"), "{experiment}");
    }
    assert_eq!(residue(), Vec::<String>::new());
    // A helper container has no tools in it, and says so.
    let containers = [&settings[..2], &["chaos.docker.helpers=containers"]].concat();
    let (code, phase) = platform.chaos(&containers);
    assert_eq!(code, Some(3), "{phase:#}");
    assert!(only(&phase).1["reason"].to_string().contains("iptables needs"), "{phase:#}");
}
