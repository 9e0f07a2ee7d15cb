//! The files that are tried.

use super::archive;
use super::genuine::{entry, genuine, gif, jpeg};

/// How it shows that a file did harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A browser would take it for a page, in the platform's name.
    Page,
    /// The server worked out what stands in it.
    Run,
    /// It lies outside of where uploads lie.
    Outside,
    /// An entry of it lies outside of where uploads lie.
    Unpacked,
    /// Its entry lies beside it, a thousand times as large.
    Grown,
    /// Its name becomes part of a page that lists it.
    Listed,
    /// It was taken although its ending is not meant to be.
    Taken,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is, in words.
    pub words: &'static str,
    /// Its name.
    pub file_name: String,
    /// What it says of itself.
    pub content_type: &'static str,
    /// What it holds.
    pub content: Vec<u8>,
    /// How it shows that it did harm.
    pub shows: Shows,
    /// The name of what would lie elsewhere; none where nothing would.
    pub lands: Option<String>,
    /// What is in it, by name: it may be unpacked, and outlive the archive.
    pub entries: Vec<String>,
}

/// A product that no file holds; only who works it out knows it.
pub const FACTORS: (u32, u32) = (7919, 104_729);
/// What becomes of an archive that grows, bytes: more than is read of an answer, and no harm to anybody.
pub const GROWN: usize = 1024 * 1024;
/// What stands in every file beside its name.
const NOTE: &str = "a file of an audit, to be removed";

/// A harmless file of a type that is meant.
pub fn control(name: &str, ending: &str) -> Case {
    let file_name = format!("{name}{ending}");
    let (content_type, content) = genuine(ending, &file_name, &format!("{name}: {NOTE}"));
    Case {
        words: "a harmless file",
        content_type,
        content,
        shows: Shows::Taken,
        lands: None,
        entries: if ending == ".zip" { vec![entry(&file_name)] } else { Vec::new() },
        file_name,
    }
}

/// The files of an upload, each with a name of its own; `token` is the name of an element that no page
/// has.
pub fn cases(name: impl Fn(usize) -> String, token: &str, allowed: &[String]) -> Vec<Case> {
    let meant = allowed.first().map_or(".png", String::as_str);
    let mut all = pages(token, meant);
    all.extend(programs(meant));
    all.extend(paths());
    let (ending, shown) = (meant.to_owned(), format!("<{token}>{meant}"));
    all.push(file(
        "a name with an element in it",
        &format!("{{}}{shown}"),
        genuine(meant, "", "").0,
        Shows::Listed,
        move |name| {
            let file = genuine(&ending, &format!("{name}{shown}"), NOTE).1;
            [file.as_slice(), name.as_bytes()].concat()
        },
    ));
    all.extend(archives());
    let mut named: Vec<Case> = Vec::new();
    for (at, file) in all.into_iter().enumerate() {
        let name = name(at + 1);
        named.push(Case {
            words: file.words,
            file_name: file.name.replace("{}", &name),
            content_type: file.content_type,
            content: (file.content)(&name),
            shows: file.shows,
            lands: file.lands.map(|lands| lands.replace("{}", &name)),
            entries: file.entries.iter().map(|entry| entry.replace("{}", &name)).collect(),
        });
    }
    named
}

/// What a file holds, with a mark in it.
type Content = dyn Fn(&str) -> Vec<u8>;

/// A file whose name is not known yet; `{}` stands for it.
struct File {
    words: &'static str,
    name: String,
    content_type: &'static str,
    content: Box<Content>,
    shows: Shows,
    lands: Option<&'static str>,
    entries: Vec<String>,
}

fn file(
    words: &'static str,
    name: &str,
    content_type: &'static str,
    shows: Shows,
    content: impl Fn(&str) -> Vec<u8> + 'static,
) -> File {
    File {
        words,
        name: name.into(),
        content_type,
        content: Box::new(content),
        shows,
        lands: None,
        entries: Vec::new(),
    }
}

/// What a browser would take for a page: by its ending, its type, or its first bytes alone.
fn pages(token: &str, meant: &str) -> Vec<File> {
    let element = format!("<{token}>");
    let drawn = format!("<{token}/>");
    let page = move |name: &str| format!("<html><body>{name}{element}</body></html>");
    let drawing = move |name: &str| {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\">";
        format!("{svg}{drawn}<text>{name}</text></svg>").into_bytes()
    };
    let page_of = |words, name: &str, kind| {
        let page = page.clone();
        file(words, name, kind, Shows::Page, move |name| page(name).into_bytes())
    };
    let (in_gif, in_jpeg, in_named) = (page.clone(), page.clone(), page.clone());
    vec![
        page_of("a page", "{}.html", "text/html"),
        page_of("a page of another ending", "{}.xhtml", "application/xhtml+xml"),
        page_of("a page with the type of an image", "{}.html", "image/png"),
        page_of("a page with the ending of what is meant", &format!("{{}}{meant}"), "text/html"),
        page_of("a page with two endings", &format!("{{}}{meant}.html"), "image/png"),
        page_of(
            "a page with two endings, the last as meant",
            &format!("{{}}.html{meant}"),
            "image/png",
        ),
        page_of(
            "a page with a null byte in its name",
            &format!("{{}}.html%00{meant}"),
            "image/png",
        ),
        file("a drawing with elements", "{}.svg", "image/svg+xml", Shows::Page, drawing),
        file("an image that is a page too", "{}.html", "image/gif", Shows::Page, move |name| {
            gif(&in_gif(name))
        }),
        file(
            "a photograph that is a page too",
            "{}.html",
            "image/jpeg",
            Shows::Page,
            move |name| jpeg(&in_jpeg(name)),
        ),
        file(
            "an image that is a page too, with the ending of what is meant",
            &format!("{{}}{meant}"),
            "text/html",
            Shows::Page,
            move |name| gif(&in_named(name)),
        ),
    ]
}

/// What a server might run.
fn programs(meant: &str) -> Vec<File> {
    let script =
        |name: &str| format!("<?php echo {}*{}; ?>{name}", FACTORS.0, FACTORS.1).into_bytes();
    let run = |words, name: &str, kind| file(words, name, kind, Shows::Run, script);
    vec![
        run("a script", "{}.php", "application/x-php"),
        run("a script with two endings", &format!("{{}}.php{meant}"), "image/png"),
        run("a script of another spelling", "{}.pHp5", "image/png"),
        file("a program", "{}.exe", "application/octet-stream", Shows::Taken, |name| {
            format!("MZ{name}").into_bytes()
        }),
    ]
}

/// Where a file lands whose name or entry chooses its place.
const UP: &str = "{}-up.txt";

/// Names that choose their place.
fn paths() -> Vec<File> {
    [
        ("a name that goes up", "../{}-up.txt"),
        ("a name that goes up with backslashes", "..\\{}-up.txt"),
        ("a name that goes up encoded", "..%2f{}-up.txt"),
        ("a name that goes up twice spelled", "....//{}-up.txt"),
        ("an absolute name", "/{}-up.txt"),
    ]
    .into_iter()
    .map(|(words, name)| File {
        lands: Some(UP),
        ..file(words, name, "text/plain", Shows::Outside, |name| {
            format!("{name}: {NOTE}").into_bytes()
        })
    })
    .collect()
}

/// Archives that are dangerous to unpack.
fn archives() -> Vec<File> {
    let with = |words, climbs: &'static str| File {
        lands: Some(UP),
        // As a careful archiver mends its name, or as it stands.
        entries: vec![entry("{}.zip"), UP.to_owned(), climbs.to_owned()],
        ..file(words, "{}.zip", "application/zip", Shows::Unpacked, move |name| {
            let text = format!("{name}: {NOTE}");
            // Beside what is to be found where a harmless one is.
            let harmless = entry(&format!("{name}.zip"));
            archive::zip(&[(harmless.as_str(), &text), (&climbs.replace("{}", name), &text)])
        })
    };
    vec![
        with("an archive with an entry that goes up", "../{}-up.txt"),
        with("an archive with an entry that goes up with backslashes", "..\\{}-up.txt"),
        with("an archive with an absolute entry", "/{}-up.txt"),
        File {
            lands: Some("{}-large.txt"),
            ..file("an archive that grows", "{}.zip", "application/zip", Shows::Grown, |name| {
                archive::growing(&format!("{name}-large.txt"), &format!("{name}: {NOTE}"), GROWN)
            })
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_carries_its_mark_and_does_nothing() {
        let name = |n: usize| format!("shakedown-run-upload-{n}");
        for allowed in [vec![], vec![".pdf".to_owned()]] {
            let all = cases(name, "zqabc", &allowed);
            for (at, case) in all.iter().enumerate() {
                let name = name(at + 1);
                assert!(case.file_name.contains(&name), "{}", case.words);
                let text = String::from_utf8_lossy(&case.content).into_owned();
                // What grows is packed; its name is not.
                assert!(text.contains(&name), "{}", case.words);
                assert!(case.lands.as_ref().is_none_or(|lands| lands.contains(&name)));
                // What is in it goes among the files of others under a name of ours too.
                assert!(case.entries.iter().all(|entry| entry.contains(&name)));
                assert!(case.content.len() < 3000, "{} {}", case.words, case.content.len());
                for harm in ["system(", "exec(", "eval(", "<script", "onload", "unlink"] {
                    assert!(!text.contains(harm), "{}: {harm}", case.words);
                }
            }
            let product = (u64::from(FACTORS.0) * u64::from(FACTORS.1)).to_string();
            let holds = |case: &Case| String::from_utf8_lossy(&case.content).contains(&product);
            assert!(!all.iter().any(holds));
        }
    }
}
