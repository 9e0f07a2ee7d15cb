//! The score of Mozilla's HTTP Observatory (version 2 of its method): 100 with modifiers; bonuses count
//! from 90 on. The test of the redirect to https is left out, because only configured addresses are
//! asked; without TLS, HSTS and Secure are left out too.

use super::cookies::cookies;
use super::csp::Policy;
use super::{LEAST_HSTS_SECONDS, hsts_seconds, page};
use crate::security::answer::Answer;

/// From here on bonuses count.
const BONUS_FROM: i32 = 90;

/// The score of a page, from 0.
pub fn score(answer: &Answer, tls: bool) -> u32 {
    let policy = Policy::of(answer);
    let modifiers = [
        csp(&policy),
        if tls { hsts(answer) } else { 0 },
        framing(answer, &policy),
        nosniff(answer),
        referrer(answer),
        cookie(answer, tls),
        cors(answer),
        integrity(answer),
        resource_policy(answer),
        embedder_policy(answer),
        opener_policy(answer),
    ];
    let penalties: i32 = modifiers.iter().filter(|modifier| **modifier < 0).sum();
    let bonuses: i32 = modifiers.iter().filter(|modifier| **modifier > 0).sum();
    let score = 100 + penalties;
    let score = if score >= BONUS_FROM { score + bonuses } else { score };
    u32::try_from(score.max(0)).unwrap_or(0)
}

/// The grade of a score.
pub const fn grade(score: u32) -> &'static str {
    match score {
        100.. => "A+",
        90..=99 => "A",
        85..=89 => "A-",
        80..=84 => "B+",
        70..=79 => "B",
        65..=69 => "B-",
        60..=64 => "C+",
        50..=59 => "C",
        45..=49 => "C-",
        40..=44 => "D+",
        30..=39 => "D",
        25..=29 => "D-",
        _ => "F",
    }
}

fn csp(policy: &Policy) -> i32 {
    if policy.is_empty() {
        -25
    } else if policy.allows_inline_scripts() || policy.allows_any_script() {
        -20
    } else if policy.allows_eval() {
        -10
    } else if policy.denies_by_default() {
        10
    } else {
        5
    }
}

fn hsts(answer: &Answer) -> i32 {
    let value = answer.header("strict-transport-security").to_lowercase();
    match hsts_seconds(&value) {
        None => -20,
        Some(age) if age < LEAST_HSTS_SECONDS => -10,
        Some(_) => 0,
    }
}

fn framing(answer: &Answer, policy: &Policy) -> i32 {
    if page::bounds_framing(answer, policy) { 5 } else { -20 }
}

fn nosniff(answer: &Answer) -> i32 {
    let good = answer.header("x-content-type-options").eq_ignore_ascii_case("nosniff");
    if good { 0 } else { -5 }
}

fn referrer(answer: &Answer) -> i32 {
    let value = answer.header("referrer-policy").to_lowercase();
    match value.split(',').next_back().unwrap_or_default().trim() {
        "" => 0,
        "no-referrer" | "same-origin" | "strict-origin" | "strict-origin-when-cross-origin" => 5,
        _ => -5,
    }
}

fn cookie(answer: &Answer, tls: bool) -> i32 {
    let all = cookies(answer);
    let worst = all.iter().map(|cookie| match (cookie.is_session(), tls && !cookie.secure) {
        (true, true) => -40,
        (true, false) if !cookie.http_only => -30,
        (false, true) => -20,
        _ if !matches!(cookie.same_site.as_str(), "" | "lax" | "strict" | "none") => -20,
        _ => 0,
    });
    let good = !all.is_empty() && all.iter().all(|cookie| !cookie.same_site.is_empty());
    match worst.min() {
        Some(0) if good => 5,
        Some(worst) => worst,
        None => 0,
    }
}

fn cors(answer: &Answer) -> i32 {
    if answer.header("access-control-allow-origin") == "*" { -50 } else { 0 }
}

fn integrity(answer: &Answer) -> i32 {
    match page::unbound_script(&answer.body) {
        Some(script) if script.starts_with("http:") => -50,
        Some(_) => -5,
        None => 0,
    }
}

fn resource_policy(answer: &Answer) -> i32 {
    match answer.header("cross-origin-resource-policy") {
        "same-origin" | "same-site" => 10,
        "" | "cross-origin" => 0,
        _ => -5,
    }
}

fn embedder_policy(answer: &Answer) -> i32 {
    match answer.header("cross-origin-embedder-policy") {
        "require-corp" | "credentialless" => 10,
        "" | "unsafe-none" => 0,
        _ => -5,
    }
}

fn opener_policy(answer: &Answer) -> i32 {
    match answer.header("cross-origin-opener-policy") {
        "same-origin" | "same-origin-allow-popups" | "noopener-allow-popups" => 10,
        "" | "unsafe-none" => 0,
        _ => -5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn a_bare_page_fails_and_a_good_one_gets_more_than_100() {
        let bare = answer(200, &[("content-type", "text/html")], "<p>");
        // 100 - 25 (policy) - 20 (HSTS) - 20 (framing) - 5 (nosniff)
        assert_eq!((score(&bare, true), grade(score(&bare, true))), (30, "D"));
        let good = [
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", "max-age=63072000"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ];
        // 100 + 10 + 5 + 5
        assert_eq!((score(&answer(200, &good, ""), true), grade(120)), (120, "A+"));
        let cookie = [("set-cookie", "sessionid=1; HttpOnly")];
        assert_eq!(score(&answer(200, &cookie, ""), true), 0);
    }
}
