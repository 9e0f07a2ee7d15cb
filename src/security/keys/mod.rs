//! What a key looks like: a shape, a randomness, and words that only examples have. A key never leaves
//! this room whole.

mod entropy;
mod rules;

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use sha2::{Digest, Sha256};

use entropy::entropy;
use rules::{EXAMPLES, RULES, Shape};

use super::rules::hex;

/// A key that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What kind of key it is.
    pub kind: &'static str,
    /// Whether the shape alone says so; a generic one may be something else.
    pub certain: bool,
    /// As much of it as may be shown.
    pub shown: String,
}

/// Words in the names of settings that hold a secret, besides `token`.
const NAMES: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "api_key",
    "apikey",
    "private_key",
];
/// Lengths of what may be a secret by its name, bytes.
const LEAST_SECRET: usize = 6;
const MOST_SECRET: usize = 4096;
/// Of a key that is shorter nothing is shown.
const SHORT: usize = 16;
/// What stands beside a key of Google's that is meant for browsers, bytes, and what that is.
const AROUND: usize = 150;
const BROWSER_USES: [&str; 3] = ["maps.googleapis.com", "authDomain", "messagingSenderId"];
/// Longest text that is searched.
const MAX_BYTES: usize = 1024 * 1024;

static SHAPES: LazyLock<Vec<(Regex, &'static Shape)>> = LazyLock::new(|| {
    // A pattern that does not compile is caught by a test; it is never reached here.
    RULES.iter().filter_map(|rule| Some((Regex::new(rule.pattern).ok()?, rule))).collect()
});
static ANY: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(SHAPES.iter().map(|(regex, _)| regex.as_str())).ok());

/// Keys in a text.
pub fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (key, shape) in matches(text) {
        let certain = shape.certain && !is_published(text, key);
        let one = Found { kind: shape.name, certain, shown: redact(key) };
        if !found.iter().any(|other| other.shown == one.shown) {
            found.push(one);
        }
    }
    found
}

/// What is called a secret, of whatever shape: the name, and the value that stands after it.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)((?:passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|private[_-]?key)[a-z0-9_-]{0,30}["']?\s{0,3}[:=]\s{0,3}(?:\{\s{0,3}"value"\s{0,3}:\s{0,3})?["']?)[^\s"',;&|}<]+"#,
    )
    .ok()
});

/// A text with every key in it cut to its ends, and without the values of what is called a secret.
pub fn redacted(text: &str) -> String {
    let keys: Vec<String> = matches(text).into_iter().map(|(key, _)| key.to_owned()).collect();
    let text =
        keys.iter().fold(text.to_owned(), |text, key| text.replace(key.as_str(), &redact(key)));
    match NAMED.as_ref() {
        Some(named) => named.replace_all(&text, "${1}***").into_owned(),
        None => text,
    }
}

fn matches(text: &str) -> Vec<(&str, &'static Shape)> {
    let text = &text[..text.floor_char_boundary(MAX_BYTES)];
    let Some(any) = ANY.as_ref() else { return Vec::new() };
    let mut found: Vec<(&str, &'static Shape)> = Vec::new();
    for at in any.matches(text) {
        let (regex, shape) = &SHAPES[at];
        for captured in regex.captures_iter(text) {
            let Some(key) = captured.get(1).map(|group| group.as_str()) else { continue };
            let known = found.iter().any(|(other, _)| other.contains(key));
            if !known && entropy(key) >= shape.entropy && !is_example(key) {
                found.push((key, shape));
            }
        }
    }
    found
}

/// Whether what stands around a key of Google's says that it is one for browsers, which their pages have
/// to show: it is a secret only where nothing bounds it to these.
fn is_published(text: &str, key: &str) -> bool {
    let Some(at) = text.find(key).filter(|_| key.starts_with("AIza")) else { return false };
    let begins = text.floor_char_boundary(at.saturating_sub(AROUND));
    let ends = text.ceil_char_boundary((at + key.len() + AROUND).min(text.len()));
    BROWSER_USES.iter().any(|word| text[begins..ends].contains(word))
}

/// Whether a text is what stands for a value in an example.
pub fn is_example(key: &str) -> bool {
    let lower = key.to_lowercase();
    EXAMPLES.iter().any(|word| lower.contains(word)) || is_run(&lower)
}

/// Letters or digits in their order: typed, not drawn.
fn is_run(key: &str) -> bool {
    ["0123456789", "abcdefghij", "1234567890"].iter().any(|run| key.contains(run))
}

/// A setting, such as `NAME=value` of an environment, that is called a secret and holds one of whatever
/// shape: not where it is to be found, and no example.
pub fn secret_setting(setting: &str) -> Option<Found> {
    let (name, value) = setting.split_once('=')?;
    let lower = name.to_lowercase();
    // The end of a word: `MAX_TOTAL_TOKENS` and `TOKENIZER` are settings of every language model.
    let is_token = lower.split(['_', '-', '.']).any(|word| word.ends_with("token"));
    let called = is_token || NAMES.iter().any(|word| lower.contains(word));
    let called = called && !lower.ends_with("_file");
    // A password may be all digits; what is set beside one is a time or a number of them.
    let is_password = lower.ends_with("password") || lower.ends_with("passwd");
    let holds = (LEAST_SECRET..=MOST_SECRET).contains(&value.len())
        && !value.starts_with('/')
        && !value.contains("://")
        && !value.contains(char::is_whitespace)
        && (is_password || !value.bytes().all(|byte| byte.is_ascii_digit()))
        && !is_example(value);
    (called && holds).then(|| Found {
        kind: "secret by its name",
        certain: false,
        shown: format!("{}: {}", crate::platform::text::clean(name, 60), redact(value)),
    })
}

/// The first four and last two characters, and the beginning of its SHA-256 to know it again; of a short
/// one nothing, because that would be most of it.
fn redact(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    if letters.len() < SHORT {
        return format!("*** ({} characters)", letters.len());
    }
    let first: String = letters.iter().take(4).collect();
    let last: String = letters.iter().skip(letters.len().saturating_sub(2)).collect();
    let digest = hex(&Sha256::digest(key.as_bytes())[..4]);
    format!("{first}...{last} ({} characters, sha256 {digest}...)", letters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of every kind, put together here so that none stands in this file.
    fn genuine() -> Vec<(&'static str, String)> {
        let of = |n: usize| -> String {
            let letters = "aK8d03jFq9LmZx7RtYw5Vb2NcPe6HsUg4Ti1oQrXy";
            letters.chars().cycle().skip(n % 7).take(n).collect()
        };
        let digits = |n: usize| -> String { "7349015826".chars().cycle().take(n).collect() };
        let upper = |n: usize| of(n).to_uppercase().replace(['0', '1', '8', '9'], "X");
        vec![
            ("GitHub token", format!("ghp_{}", of(36))),
            ("AWS access key", format!("AKIA{}", upper(16))),
            ("OpenAI key", format!("sk-proj-{}T3BlbkFJ{}", of(20), of(20))),
            ("Anthropic key", format!("sk-ant-api03-{}AA", of(93))),
            ("Google API key", format!("AIza{}", of(35))),
            ("Stripe key", format!("sk_live_{}", of(24))),
            ("Slack token", format!("xoxb-{}-{}-{}", digits(11), digits(11), of(24))),
        ]
    }

    #[test]
    fn every_pattern_compiles_and_has_a_group() {
        assert_eq!(SHAPES.len(), RULES.len());
        assert!(SHAPES.iter().all(|(regex, _)| regex.captures_len() == 2));
    }

    #[test]
    fn keys_are_found_by_shape_and_randomness_and_never_shown() {
        for (kind, key) in genuine() {
            let found = find(&format!("{{\"token\": \"{key}\"}}"));
            assert_eq!(found.len(), 1, "{kind}: {found:?}");
            assert_eq!((found[0].kind, found[0].certain), (kind, true));
            assert!(!found[0].shown.contains(&key[6..12]), "{}", found[0].shown);
            assert!(!redacted(&format!("x {key} y")).contains(&key), "{kind}");
        }
    }

    #[test]
    fn a_key_for_browsers_may_be_meant_to_be_seen() {
        let (_, key) = genuine().swap_remove(4);
        for (text, certain) in [
            (
                format!("src = 'https://maps.googleapis.com/maps/api/js?key={key}&callback=x'"),
                false,
            ),
            (format!("{{apiKey: '{key}', authDomain: 'a.firebaseapp.com'}}"), false),
            (format!("gemini({{apiKey: '{key}'}})"), true),
        ] {
            let found = find(&text);
            assert_eq!((found.len(), found[0].certain), (1, certain), "{text}");
        }
    }

    #[test]
    fn what_is_called_a_secret_is_not_shown_whatever_its_shape() {
        assert!(NAMED.is_some());
        for (text, shown) in [
            ("DB_PASSWORD=zR8!k\nHOST=db", "DB_PASSWORD=***\nHOST=db"),
            (r#"{"secret_key": "abc", "n": 1}"#, r#"{"secret_key": "***", "n": 1}"#),
            (r#""DB_PASSWORD":{"value":"x1"}"#, r#""DB_PASSWORD":{"value":"***"}"#),
            ("api-key: abc | host: h", "api-key: *** | host: h"),
            ("no tokens here", "no tokens here"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    #[test]
    fn of_a_short_password_nothing_is_shown() {
        let found = find("DATABASE_URL=postgres://app:hunter2x@db/app");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(!found[0].shown.contains("hunt") && !found[0].shown.contains("sha256"));
    }

    #[test]
    fn a_setting_is_a_secret_by_its_name_where_it_holds_one() {
        let found = secret_setting("POSTGRES_PASSWORD=zR8!kq2LmV").expect("a secret");
        assert!(!found.certain && found.shown.starts_with("POSTGRES_PASSWORD: ***"), "{found:?}");
        for other in [
            "AUTHTOKEN=zR8!kq2LmV",
            "GITHUBTOKEN=zR8!kq2LmV",
            "app.accessToken=zR8!kq2LmV",
            "HUB_TOKEN_RW=zR8!kq2LmV",
            "POSTGRES_PASSWORD=84736251",
            "db.passwd=84736251",
        ] {
            assert!(secret_setting(other).is_some(), "{other}");
        }
        for harmless in [
            "POSTGRES_PASSWORD_FILE=/run/secrets/db",
            "SECRET_PATH=/run/secrets/db",
            "TOKEN_URL=https://auth.example.com/token",
            "PASSWORD=",
            "PASSWORD=changeme-now",
            "PATH=abcdefgh",
            "MAX_TOTAL_TOKENS=131072",
            "TOKENIZER_MODEL=bert-base-uncased",
            "TOKEN_LIMIT=131072",
            "PASSWORD_RESET_TIMEOUT=259200",
            "PASSWORD=12345678901",
            "TOKEN",
        ] {
            assert_eq!(secret_setting(harmless), None, "{harmless}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_found_by_what_it_is_called() {
        let value = "aK8d03jFq9LmZx7RtYw5Vb2NcPe6HsUg4Ti1oQrX";
        for name in ["secret", "aws_secret_access_key", "SECRET_KEY", "api-key"] {
            let found = find(&format!("{{\"{name}\": \"{value}\"}}"));
            assert_eq!(found.len(), 1, "{name}");
            assert!(!found[0].certain && found[0].kind == "secret", "{found:?}");
        }
    }

    #[test]
    fn examples_are_none() {
        for harmless in [
            "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-proj-your-key-here",
            "ghp_short",
            "api_key: ${API_KEY}",
            "the token is in the header",
            "d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert_eq!(find(harmless), [], "{harmless}");
        }
    }
}
