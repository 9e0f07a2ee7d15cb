//! API keys where they do not belong: answers, error pages, well-known files. A key is known by its
//! shape and by how random it is; it never leaves this file whole.

use super::Outcome;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::{Answer, ProbeError, Prober, Question};

/// Files that should not be served, and what each begins like when it really is one.
const FILES: [(&str, &str); 8] = [
    ("/.env", "="),
    ("/.git/config", "[core]"),
    ("/config.json", "{"),
    ("/openapi.json", "{"),
    ("/debug", ""),
    ("/metrics", ""),
    ("/actuator/env", "{"),
    ("/shakedown-nothing-is-here", ""),
];

/// A kind of key: what it begins with, what it is made of, and how long and random it is at least.
struct Rule {
    name: &'static str,
    prefix: &'static str,
    letters: fn(char) -> bool,
    least: usize,
    entropy: f64,
}

const fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

const fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

const RULES: [Rule; 9] = [
    Rule { name: "OpenAI key", prefix: "sk-proj-", letters: word, least: 40, entropy: 3.0 },
    Rule { name: "Anthropic key", prefix: "sk-ant-", letters: word, least: 80, entropy: 3.0 },
    Rule { name: "AWS access key", prefix: "AKIA", letters: alphanumeric, least: 16, entropy: 3.0 },
    Rule { name: "Google API key", prefix: "AIza", letters: word, least: 35, entropy: 4.0 },
    Rule { name: "GitHub token", prefix: "ghp_", letters: alphanumeric, least: 36, entropy: 3.0 },
    Rule {
        name: "Hugging Face token",
        prefix: "hf_",
        letters: alphanumeric,
        least: 34,
        entropy: 2.0,
    },
    Rule { name: "Stripe key", prefix: "sk_live_", letters: alphanumeric, least: 20, entropy: 2.0 },
    Rule { name: "Slack token", prefix: "xoxb-", letters: word, least: 30, entropy: 2.0 },
    Rule {
        name: "private key",
        prefix: "-----BEGIN ",
        letters: |c| c == ' ' || c.is_ascii_uppercase(),
        least: 11,
        entropy: 0.0,
    },
];

/// Words that only examples have.
const EXAMPLES: [&str; 6] = ["EXAMPLE", "example", "your-", "xxxx", "XXXX", "placeholder"];

/// Looks through the answers to these questions, and through files that should not be there.
pub async fn probe(prober: &Prober, questions: &[Question]) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    let mut looked = 0;
    for question in questions {
        let answer = prober.ask(question).await?;
        looked += 1;
        outcome.findings.extend(keys_in(question, &answer));
    }
    for service in prober.services() {
        for (path, begins) in FILES {
            let question = Question::get(service, path);
            let answer = prober.ask(&question).await?;
            looked += 1;
            // A page that is always there is not the file.
            let is_file = answer.is_success() && looks_like(path, begins, &answer);
            if is_file && matches!(path, "/.env" | "/.git/config") {
                outcome.findings.push(exposed_file(&question, path));
            }
            outcome.findings.extend(keys_in(&question, &answer));
        }
    }
    outcome.coverage = format!("{looked} answers");
    Ok(outcome)
}

fn looks_like(path: &str, begins: &str, answer: &Answer) -> bool {
    let body = answer.body.trim_start();
    if path == "/.env" {
        let first = body.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let name = first.split_once('=').map_or("", |(name, _)| name);
        return !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    }
    body.starts_with(begins)
}

fn exposed_file(question: &Question, path: &str) -> Finding {
    Finding {
        rule: "SDK-KEYS-002".into(),
        title: format!("{path} is served"),
        severity: Severity::Critical,
        confidence: Confidence::Confirmed,
        cwe: 538,
        place: question.place(),
        evidence: "its content has the shape of the file".into(),
        remedy: "serve nothing but what is meant to be served; replace what it held".into(),
    }
}

fn keys_in(question: &Question, answer: &Answer) -> Vec<Finding> {
    let headers = answer.headers.iter().filter_map(|(_, value)| value.to_str().ok());
    let texts: Vec<&str> = headers.chain([answer.body.as_str()]).collect();
    let found = texts.into_iter().flat_map(find);
    let finding = |(rule, shown): (&'static str, String)| Finding {
        rule: "SDK-KEYS-001".into(),
        title: format!("{rule} in an answer"),
        severity: Severity::Critical,
        confidence: Confidence::Firm,
        cwe: 200,
        place: question.place(),
        evidence: shown,
        remedy: "replace the key at its issuer, then keep it out of answers".into(),
    };
    found.map(finding).collect()
}

/// Keys in a text: the kind, and the key with its middle cut out.
fn find(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for rule in &RULES {
        for (at, _) in text.match_indices(rule.prefix) {
            let rest = &text[at + rule.prefix.len()..];
            let end = rest.find(|c| !(rule.letters)(c)).unwrap_or(rest.len());
            let body = &rest[..end];
            let random = entropy(body) >= rule.entropy;
            let example = EXAMPLES.iter().any(|word| body.contains(word));
            if body.len() >= rule.least && random && !example {
                found.push((rule.name, format!("{}... ({} characters)", rule.prefix, end)));
            }
        }
    }
    found
}

/// Shannon's entropy in bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 128];
    text.bytes().filter(u8::is_ascii).for_each(|byte| counts[usize::from(byte)] += 1);
    let n = text.len().max(1) as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / n);
    shares.map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_shape_and_randomness_and_never_shown() {
        let key = "ghp_a8Kd03jFq91LmZx7RtYw5Vb2NcPe6HsUg4Ti";
        let found = find(&format!("{{\"token\": \"{key}\"}}"));
        assert_eq!(found.len(), 1);
        assert!(!found[0].1.contains("a8Kd"), "{}", found[0].1);
        for harmless in [
            "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "AKIAIOSFODNN7EXAMPLE",
            "sk-proj-your-key-here",
            "ghp_short",
        ] {
            assert_eq!(find(harmless), [], "{harmless}");
        }
    }
}
