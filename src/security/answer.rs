//! An answer, and whether two of them say the same.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::HeaderMap;

use super::request::{Request, segment};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: String,
    /// Whether that is all of it.
    pub whole: bool,
    /// From the send to the last byte that was read.
    pub latency: Duration,
    /// The page that it is, where the service sent on to one instead of answering itself.
    pub landed: Option<Box<Request>>,
}

impl Answer {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Whether it is a 2xx.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Whether the service did what it was asked to, rather than send to a page that asks who one is.
    pub fn is_taken(&self) -> bool {
        self.is_success() && !self.is_login()
    }

    /// Whether the service sent to a page that asks who one is: called so, or with one place for a
    /// password.
    pub fn is_login(&self) -> bool {
        let Some(at) = &self.landed else { return false };
        let (path, page) = (at.path.to_lowercase(), self.body.to_lowercase());
        let asks = ["type=\"password\"", "type='password'", "type=password"];
        let path = path.replace(['-', '_'], "");
        let mut words = path.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| word.ends_with("login") || word.ends_with("signin"))
            || asks.iter().map(|field| page.matches(field).count()).sum::<usize>() == 1
    }

    /// The shape of the page that was sent on to; none where it answered itself.
    pub fn landing(&self) -> Option<String> {
        self.landed.as_ref().map(|page| page.shape())
    }

    /// How it was answered, in words.
    pub fn words(&self) -> String {
        match &self.landed {
            None => self.status.to_string(),
            Some(page) => format!("{} at {}, which it sends on to", self.status, page.path),
        }
    }

    /// Whether something refused it as an attack or for its rate rather than the service as wrong.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.status, 403 | 406 | 429)
    }

    /// Whether the service says that it cannot answer, which may be over the next moment.
    pub const fn is_out_of_order(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// Media type without parameters, in lower case.
    pub fn media_type(&self) -> String {
        let kind = self.header("content-type").split(';').next().unwrap_or_default();
        kind.trim().to_lowercase()
    }

    /// Whether a browser would parse it as HTML or run scripts in it.
    pub fn is_active(&self) -> bool {
        let kind = self.media_type();
        let nosniff = self.header("x-content-type-options").eq_ignore_ascii_case("nosniff");
        let parsed = matches!(
            kind.as_str(),
            "text/html"
                | "application/xhtml+xml"
                | "image/svg+xml"
                | "text/xml"
                | "application/xml"
        ) || (kind.is_empty() && !nosniff);
        self.is_shown() && parsed && !self.is_sandboxed()
    }

    /// Whether its policy keeps every script of it from running, as that of a page of nobody's.
    fn is_sandboxed(&self) -> bool {
        let policies = self.all("content-security-policy").join(",").to_lowercase();
        let mut directives = policies.split([';', ',']).map(str::split_whitespace);
        directives
            .any(|mut of| of.next() == Some("sandbox") && !of.any(|one| one == "allow-scripts"))
    }

    /// Whether a browser would show it, rather than go on elsewhere or keep it as a file.
    pub fn is_shown(&self) -> bool {
        let disposition = self.header("content-disposition").trim().to_lowercase();
        !matches!(self.status, 300..=399) && !disposition.starts_with("attachment")
    }

    /// The same answer without a text that was sent and may have come back, in any of its spellings.
    pub fn without(&self, sent: &str) -> String {
        self.with(sent, " ")
    }

    /// The same answer as if another text had been sent and come back.
    pub fn with(&self, sent: &str, other: &str) -> String {
        let json = serde_json::Value::from(sent).to_string();
        let html = sent.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let quoted = html.replace('"', "&quot;").replace('\'', "&#39;");
        let hex = html.replace('"', "&#34;").replace('\'', "&#x27;");
        let query = segment(sent);
        let form = query.replace("%20", "+");
        let spellings = [json.trim_matches('"'), sent, &quoted, &hex, &html, &query, &form];
        let long = spellings.iter().filter(|text| text.len() > 2);
        long.fold(self.body.clone(), |body, spelling| body.replace(spelling, other))
    }
}

/// Share of words that two texts have in common, 0-1; numbers count as one word, because times and
/// ids change from answer to answer.
pub fn resemblance(one: &str, other: &str) -> f64 {
    let (one, other) = (words(one), words(other));
    let total: u64 = one.values().sum::<u64>() + other.values().sum::<u64>();
    if total == 0 {
        return 1.0;
    }
    let common: u64 = one.iter().map(|(word, n)| n.min(other.get(word).unwrap_or(&0))).sum();
    2.0 * common as f64 / total as f64
}

/// Whether a text has every word, numbers aside, that all of these have in common; there has to be a text.
pub fn has_what_is_common(texts: impl IntoIterator<Item = impl AsRef<str>>, text: &str) -> bool {
    let mut texts = texts.into_iter().peekable();
    texts.peek().is_some() && has_all(&in_common(texts), text)
}

/// Whether each of these words stands in a text as often, at least.
pub fn has_all(words: &HashMap<String, u64>, text: &str) -> bool {
    let has = counted(text);
    words.iter().all(|(word, n)| has.get(word).is_some_and(|has| has >= n))
}

/// How often each word, numbers aside, stands in all of these at least.
pub fn in_common(texts: impl IntoIterator<Item = impl AsRef<str>>) -> HashMap<String, u64> {
    let counts = texts.into_iter().map(|text| counted(text.as_ref()));
    let fewer = |mut common: HashMap<String, u64>, other: HashMap<String, u64>| {
        common.retain(|word, n| {
            *n = (*n).min(other.get(word).copied().unwrap_or(0));
            *n > 0
        });
        common
    };
    counts.reduce(fewer).unwrap_or_default()
}

/// How often each word stands in a text, numbers aside.
pub fn counted(text: &str) -> HashMap<String, u64> {
    let mut counts = words(text);
    counts.remove(NUMBER);
    counts
}

/// Stands for every word with a digit in it.
const NUMBER: &str = "#";

/// How often each word stands in a text.
fn words(text: &str) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = if word.bytes().any(|b| b.is_ascii_digit()) { NUMBER } else { word };
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer for tests.
    pub(crate) fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("value"));
        }
        let latency = Duration::from_millis(1);
        Answer { status, headers: map, body: body.into(), whole: true, latency, landed: None }
    }

    #[test]
    fn times_and_ids_do_not_make_answers_differ() {
        assert!(resemblance("id 17 at 12:01 rows a b", "id 18 at 13:55 rows a b") > 0.99);
        assert!(resemblance("rows a b c d", "no rows") < 0.5);
        assert!((resemblance("", "") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_page_that_asks_who_one_is_takes_nothing() {
        let landed = |path: &str, body: &str| {
            let page = Request::get(crate::config::ServiceKind::Rag, path);
            Answer { landed: Some(Box::new(page)), ..answer(200, &[], body) }
        };
        let field = "<input type=\"password\" name=p>";
        assert!(landed("/notes/17?new=1", "<p>Saved</p>").is_taken());
        assert_eq!(landed("/notes/17?new=1", "").landing().as_deref(), Some("/notes/{id}?new"));
        assert!(!landed("/Sign-In?next=/notes", "").is_taken());
        assert!(!landed("/start", field).is_taken());
        assert!(
            landed("/account", &field.repeat(3)).is_taken(),
            "the password can be changed there"
        );
        assert!(answer(200, &[], field).is_taken(), "it was asked for");
    }

    #[test]
    fn what_a_browser_does_not_show_is_no_page() {
        let of = |status, headers: &[(&'static str, &str)]| {
            let html = [("content-type", "text/html; charset=utf-8")];
            answer(status, &[&html, headers].concat(), "<p>x")
        };
        assert!(of(200, &[]).is_active() && of(404, &[]).is_active());
        assert!(of(200, &[("content-disposition", "inline")]).is_active());
        assert!(!of(200, &[("content-disposition", "Attachment; filename=a.html")]).is_active());
        assert!(!of(302, &[("location", "/")]).is_active());
        let policy = |text| of(200, &[("content-security-policy", text)]).is_active();
        assert!(!policy("default-src 'none'; sandbox") && !policy("sandbox allow-forms"));
        assert!(policy("sandbox allow-scripts") && policy("img-src sandbox.example.com"));
    }

    #[test]
    fn what_was_sent_is_cut_out_however_it_was_spelled() {
        let sent = "v' AND \"1";
        for body in [
            "a v' AND \"1 b",
            r#"a v' AND \"1 b"#,
            "a v&#39; AND &quot;1 b",
            "a v%27%20AND%20%221 b",
            "a v%27+AND+%221 b",
        ] {
            assert_eq!(answer(200, &[], body).without(sent), "a   b", "{body}");
        }
    }
}
