//! The HTML report in a real browser: nothing is loaded, nothing is run, nothing is complained of, and
//! it is light or dark as the reader wishes. `.ci/live/report.sh` finds Chromium and runs this; it is
//! ignored elsewhere.

mod support;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Workplace, text};

/// A page as the browser saw it.
#[derive(Debug)]
struct Opened {
    /// What it wrote to its console.
    console: Vec<String>,
    /// What the page asked for over the network.
    requests: Vec<String>,
    /// The colour of its corner, which is the page's background.
    corner: [u8; 3],
}

fn open(folder: &Path, page: &Path, dark: bool) -> Opened {
    let browser = std::env::var("LIVE_CHROMIUM").expect("LIVE_CHROMIUM: run .ci/live/report.sh");
    let name = page.file_stem().expect("a name").to_string_lossy().into_owned();
    let name = format!("{name}_{}", if dark { "dark" } else { "light" });
    let kept = std::env::var_os("LIVE_PICTURES").map_or_else(|| folder.to_owned(), PathBuf::from);
    let (picture, net) = (kept.join(format!("{name}.png")), folder.join(format!("{name}.json")));
    let argument = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = Command::new("timeout")
        .args(["120", browser.as_str(), "--headless=new", "--disable-gpu", "--no-first-run"])
        // The page is ours, and CI runs as root.
        .args(["--no-sandbox", "--hide-scrollbars", "--window-size=1280,3200"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .args(["--enable-logging=stderr", "--log-level=0"])
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .arg(argument("--user-data-dir", &folder.join("profile")))
        .arg(argument("--log-net-log", &net))
        .arg(argument("--screenshot", &picture))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("timeout runs");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{browser} ends with {}: {said}", output.status);
    Opened {
        console: said.lines().filter(|line| line.contains(":CONSOLE")).map(Into::into).collect(),
        requests: requests(&net),
        corner: corner(&std::fs::read(&picture).expect("a picture")),
    }
}

/// Addresses that the page asked for, out of the browser's log of its network: what the browser wants
/// for itself begins at no origin.
fn requests(log: &Path) -> Vec<String> {
    let log: Value =
        serde_json::from_slice(&std::fs::read(log).expect("a log")).expect("a whole log");
    let kind = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"].clone();
    assert!(kind.is_number(), "the log knows requests");
    let events = log["events"].as_array().expect("events").iter();
    let of_page = events.filter(|event| event["type"] == kind).filter(|event| {
        let initiator = &event["params"]["initiator"];
        initiator.is_string() && initiator != "not an origin"
    });
    of_page.map(|event| event["params"]["url"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The first pixel of a PNG of 8 bits a channel: whatever the filter of its first row, there is nothing
/// before it to differ from.
fn corner(png: &[u8]) -> [u8; 3] {
    assert_eq!(png[24], 8, "8 bits a channel");
    assert!(matches!(png[25], 2 | 6), "true colour");
    let (mut at, mut packed) = (8, Vec::new());
    while at + 8 <= png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes")) as usize;
        if &png[at + 4..at + 8] == b"IDAT" {
            packed.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += 12 + length;
    }
    let mut row = [0; 4];
    flate2::read::ZlibDecoder::new(&packed[..]).read_exact(&mut row).expect("a pixel");
    [row[1], row[2], row[3]]
}

/// A whole run of the sandbox, whose target has a name that would like to be markup.
fn report(place: &Workplace) -> String {
    let name = "target.name=<img src=http://127.0.0.1:9/pixel onerror=alert(1)>";
    let output = place.output(&["demo", "--headless", "--seed", "7", "--set", name]);
    assert!(output.status.code().is_some_and(|code| code != 2), "{}", text(&output.stderr));
    let html = place.run().path().join("report.html");
    std::fs::read_to_string(html).expect("a report")
}

#[test]
#[ignore = "needs Chromium: .ci/live/report.sh"]
fn the_report_is_clean_in_a_browser_and_its_policy_has_teeth() {
    let place = Workplace::new();
    let html = report(&place);
    let page = |name: &str, html: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, html).expect("written");
        path
    };
    for section in ["objectives", "budgets", "phases", "stores", "controls"] {
        assert!(html.contains(&format!("id={section}")), "the section of {section}");
    }
    let plain = page("report.html", &html);
    for (dark, corner) in [(false, [0xff, 0xff, 0xff]), (true, [0x14, 0x17, 0x1a])] {
        let seen = open(place.path(), &plain, dark);
        assert!(seen.console.is_empty() && seen.requests.is_empty(), "{seen:?}");
        assert_eq!(seen.corner, corner, "dark: {dark}");
    }

    // The same with what an attacker would like to add: the policy refuses all three.
    let planted = "<main><script>document.title='run'</script>\
        <img src=\"http://127.0.0.1:9/pixel\"><link rel=stylesheet href=\"http://127.0.0.1:9/style\">";
    let attacked = html.replacen("<main>", planted, 1);
    let seen = open(place.path(), &page("attacked.html", &attacked), false);
    assert!(seen.requests.is_empty(), "{seen:?}");
    for refused in ["inline script", "/pixel", "/style"] {
        let by_policy = |line: &String| {
            line.contains(refused) && line.contains("Content Security Policy directive")
        };
        assert!(seen.console.iter().any(by_policy), "{refused}: {seen:?}");
    }

    // And without the policy these requests are seen: what sees nothing above can see.
    let policy = "http-equiv=\"Content-Security-Policy\"";
    assert!(attacked.contains(policy));
    let open_to_all = attacked.replacen(policy, "name=\"none\"", 1);
    let seen = open(place.path(), &page("without_policy.html", &open_to_all), false);
    for asked in ["http://127.0.0.1:9/pixel", "http://127.0.0.1:9/style"] {
        assert!(seen.requests.iter().any(|url| url == asked), "{asked}: {seen:?}");
    }
}
