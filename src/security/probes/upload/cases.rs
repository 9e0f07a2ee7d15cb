//! The files that are tried.

use super::archive;

/// How it shows that a file did harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A browser would take it for a page, in the platform's name.
    Page,
    /// The server worked out what stands in it.
    Run,
    /// It lies outside of where uploads lie.
    Outside,
    /// Something of it lies outside of where uploads lie.
    Unpacked,
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
}

/// A product that no file holds; only who works it out knows it.
pub const FACTORS: (u32, u32) = (7919, 104_729);

/// A harmless file of a type that is meant.
pub fn control(name: &str, ending: &str) -> Case {
    Case {
        words: "a harmless file",
        file_name: format!("{name}{ending}"),
        content_type: "text/plain",
        content: format!("{name}: a file of an audit, to be removed").into_bytes(),
        shows: Shows::Taken,
    }
}

/// The files of an upload; `token` is the name of an element that no page has.
pub fn cases(name: &str, token: &str, allowed: &[String]) -> Vec<Case> {
    let page = format!("<html><body>{name}<{token}></body></html>");
    let image = allowed.first().map_or(".png", String::as_str);
    let script = format!("<?php echo {}*{}; ?>{name}", FACTORS.0, FACTORS.1);
    let drawing =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><{token}/><text>{name}</text></svg>");
    let case = |words, end: &str, content_type, content: &str, shows| Case {
        words,
        file_name: format!("{name}{end}"),
        content_type,
        content: content.as_bytes().to_vec(),
        shows,
    };
    let mut all = vec![
        case("a page", ".html", "text/html", &page, Shows::Page),
        case("a page of another ending", ".xhtml", "application/xhtml+xml", &page, Shows::Page),
        case("a drawing with elements", ".svg", "image/svg+xml", &drawing, Shows::Page),
        case("a page with the type of an image", ".html", "image/png", &page, Shows::Page),
        case("a page with the ending of an image", image, "text/html", &page, Shows::Page),
        case("a page with two endings", &format!("{image}.html"), "image/png", &page, Shows::Page),
        case(
            "a page with a null byte in its name",
            &format!(".html%00{image}"),
            "image/png",
            &page,
            Shows::Page,
        ),
        case(
            "an image that is a page too",
            ".html",
            "image/gif",
            &format!("GIF89a{page}"),
            Shows::Page,
        ),
        case("a script", ".php", "application/x-php", &script, Shows::Run),
        case(
            "a script with two endings",
            &format!(".php{image}"),
            "image/png",
            &script,
            Shows::Run,
        ),
        case("a script of another spelling", ".pHp5", "image/png", &script, Shows::Run),
        case("a program", ".exe", "application/octet-stream", &format!("MZ{name}"), Shows::Taken),
    ];
    let text = format!("{name}: a file of an audit, to be removed");
    for (words, file_name) in [
        ("a name that goes up", format!("../{name}-up.txt")),
        ("a name that goes up with backslashes", format!("..\\{name}-up.txt")),
        ("a name that goes up encoded", format!("..%2f{name}-up.txt")),
        ("a name that goes up twice spelled", format!("....//{name}-up.txt")),
    ] {
        let content = text.clone().into_bytes();
        all.push(Case {
            words,
            file_name,
            content_type: "text/plain",
            content,
            shows: Shows::Outside,
        });
    }
    all.push(Case {
        words: "an archive with a name that goes up",
        file_name: format!("{name}.zip"),
        content_type: "application/zip",
        content: archive::zip(&format!("../{name}-up.txt"), text.as_bytes()),
        shows: Shows::Unpacked,
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_carries_the_mark_and_does_nothing() {
        let all = cases("shakedown-run-upload-1", "zqabc", &[]);
        for case in &all {
            assert!(case.file_name.contains("shakedown-run"), "{}", case.words);
            let text = String::from_utf8_lossy(&case.content).into_owned();
            assert!(text.contains("shakedown-run"), "{}", case.words);
            for harm in ["system(", "exec(", "eval(", "<script", "onload", "unlink"] {
                assert!(!text.contains(harm), "{}: {harm}", case.words);
            }
        }
        let product = (u64::from(FACTORS.0) * u64::from(FACTORS.1)).to_string();
        assert!(all.iter().all(|case| !String::from_utf8_lossy(&case.content).contains(&product)));
    }
}
