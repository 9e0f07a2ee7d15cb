//! The HTML report in a real browser: nothing is loaded, nothing is run, nothing is complained of, and
//! it is light or dark as the reader wishes, and light on paper. The markup is read by the W3C's checker.
//! `.ci/live/report.sh` finds both and runs this; it is ignored elsewhere.

mod support;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Workplace, text};

fn browser() -> String {
    std::env::var("LIVE_CHROMIUM").expect("LIVE_CHROMIUM: run .ci/live/report.sh")
}

/// Where what was made is kept: the folder that is asked for, or one that is removed.
fn kept(folder: &Path) -> PathBuf {
    std::env::var_os("LIVE_PICTURES").map_or_else(|| folder.to_owned(), PathBuf::from)
}

/// A browser that asks nobody anything; the page is ours, and CI runs as root.
fn headless(folder: &Path, dark: bool) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["120", &browser(), "--headless=new", "--disable-gpu", "--no-first-run"])
        .args(["--no-sandbox", "--disable-background-networking", "--disable-component-update"])
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command
}

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
    let name = page.file_stem().expect("a name").to_string_lossy().into_owned();
    let name = format!("{name}_{}", if dark { "dark" } else { "light" });
    let (picture, net) =
        (kept(folder).join(format!("{name}.png")), folder.join(format!("{name}.json")));
    let argument = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = headless(folder, dark)
        .args(["--hide-scrollbars", "--window-size=1280,3200"])
        .args(["--enable-logging=stderr", "--log-level=0"])
        .arg(argument("--log-net-log", &net))
        .arg(argument("--screenshot", &picture))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("timeout runs");
    let said = text(&output.stderr);
    assert!(output.status.success(), "the browser ends with {}: {said}", output.status);
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

/// Printed by one who likes dark pages: paper stays white to its edge, and what is folded on a screen,
/// where it can be unfolded, is there.
fn on_paper(folder: &Path, page: &Path) {
    let file = kept(folder).join("report.pdf");
    let output = headless(folder, true)
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", file.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("timeout runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = file.to_string_lossy();
    let tool = |name: &str, arguments: &[&str]| {
        let output = Command::new(name).args(arguments).output();
        output.unwrap_or_else(|_| panic!("{name}: run .ci/live/report.sh")).stdout
    };
    let printed = text(&tool("pdftotext", &[&file, "-"]));
    assert!(printed.contains("Objectives") && printed.contains("CWE-"), "{printed}");
    assert!(printed.contains("To do:"), "what a finding says is folded away: {printed}");
    for number in ["1", "2"] {
        let grey = tool("pdftoppm", &["-gray", "-r", "50", "-f", number, "-l", number, &file]);
        let (width, height, pixels) = greymap(&grey);
        let dark = |n: usize| pixels[n] < 255 && (n % width > width - 8 || n % width < 8);
        let found = (0..width * height).find(|&n| dark(n));
        assert_eq!(found, None, "page {number} is not white at its edges");
    }
}

/// Width, height and pixels of a PGM.
fn greymap(pgm: &[u8]) -> (usize, usize, &[u8]) {
    let mut parts = pgm.splitn(4, u8::is_ascii_whitespace);
    let mut word = || text(parts.next().expect("a header"));
    assert_eq!(word(), "P5");
    let (width, height) = (word().parse().expect("a width"), word().parse().expect("a height"));
    let pixels = &pgm[pgm.len() - width * height..];
    (width, height, pixels)
}

/// What the W3C's checker says of a page: errors by line.
fn markup(jar: &str, page: &Path) -> String {
    let output = Command::new("java")
        .args(["-jar", jar, "--stdout", "--errors-only", "--asciiquotes"])
        .arg(page)
        .output()
        .expect("java runs");
    text(&output.stdout)
}

fn by_the_checker(page: &Path) {
    let Ok(jar) = std::env::var("LIVE_VNU") else {
        println!("the W3C's checker: NOT RUN, see .ci/live/report.sh");
        return;
    };
    assert_eq!(markup(&jar, page), "", "the checker finds errors");
    // What finds nothing above finds something here.
    let broken = page.with_file_name("broken.html");
    let html =
        std::fs::read_to_string(page).expect("there").replacen("</main>", "<bogus></main>", 1);
    std::fs::write(&broken, html).expect("written");
    assert!(markup(&jar, &broken).contains("bogus"), "the checker sees nothing");
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

    on_paper(place.path(), &plain);
    by_the_checker(&plain);

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
