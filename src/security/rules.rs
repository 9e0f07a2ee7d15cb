//! The rules that findings come from: stable ids, and what each is called elsewhere (OWASP Top 10
//! 2021 and 2025, OWASP API Top 10 2023, WSTG, ASVS 5.0).

use sha2::{Digest, Sha256};

use crate::run::event::{Confidence, Finding, Severity};

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id.
    pub id: &'static str,
    /// What it is, in general.
    pub about: &'static str,
    /// CWE number.
    pub cwe: u32,
    /// What it is called elsewhere.
    pub references: &'static [&'static str],
    /// What to do.
    pub remedy: &'static str,
}

const INJECTION: &[&str] =
    &["OWASP A03:2021", "OWASP A05:2025", "API8:2023", "WSTG-INPV-05", "ASVS 1.2.4"];
const SCRIPTING: &[&str] =
    &["OWASP A03:2021", "OWASP A05:2025", "API8:2023", "WSTG-INPV-01", "ASVS 1.2.1", "ASVS 1.2.3"];
const AUTHENTICATION: &[&str] =
    &["OWASP A07:2021", "OWASP A07:2025", "API2:2023", "WSTG-ATHN-04", "ASVS 8.2.1"];
const TOKENS: &[&str] =
    &["OWASP A07:2021", "OWASP A07:2025", "API2:2023", "WSTG-SESS-10", "ASVS 9.1.1", "ASVS 9.1.2"];
const OBJECTS: &[&str] =
    &["OWASP A01:2021", "OWASP A01:2025", "API1:2023", "WSTG-ATHZ-02", "ASVS 8.2.2"];
const FUNCTIONS: &[&str] =
    &["OWASP A01:2021", "OWASP A01:2025", "API5:2023", "WSTG-ATHZ-02", "ASVS 8.2.1"];
const LIMITS: &[&str] = &["OWASP A04:2021", "OWASP A06:2025", "API4:2023", "ASVS 2.4.1"];
const LOGIN: &[&str] =
    &["OWASP A07:2021", "OWASP A07:2025", "API2:2023", "WSTG-ATHN-03", "ASVS 6.3.1"];
const ORIGINS: &[&str] =
    &["OWASP A05:2021", "OWASP A02:2025", "API8:2023", "WSTG-CLNT-07", "ASVS 3.4.2"];
const HEADERS: &[&str] =
    &["OWASP A05:2021", "OWASP A02:2025", "API8:2023", "WSTG-CONF-14", "ASVS 3.4.3"];
const UPLOADS: &[&str] =
    &["OWASP A04:2021", "OWASP A06:2025", "API8:2023", "WSTG-BUSL-09", "ASVS 5.2.2", "ASVS 5.3.1"];
const SECRETS: &[&str] =
    &["OWASP A05:2021", "OWASP A02:2025", "API8:2023", "WSTG-INFO-05", "ASVS 13.3.1"];
const COMPONENTS: &[&str] = &["OWASP A06:2021", "OWASP A03:2025", "ASVS 15.2.1"];

macro_rules! rules {
    ($(#[doc = $about:literal] $name:ident = $id:literal, $cwe:literal, $references:ident, $remedy:literal;)*) => {
        $(#[doc = $about] pub const $name: Rule = Rule {
            id: $id, about: $about, cwe: $cwe, references: $references, remedy: $remedy,
        };)*
        /// All of them.
        #[cfg(test)]
        const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    /// A statement takes a value for a part of itself.
    SQL_INJECTION = "SDK-SQLI-001", 89, INJECTION, "pass values as parameters, never as part of a statement";
    /// A quote breaks something, and nothing says what.
    UNHANDLED = "SDK-ERR-001", 755, INJECTION, "answer 4xx to input that cannot be used, and look into the log for what broke";
    /// Input that cannot be used shows the inside.
    TRACE = "SDK-ERR-002", 209, HEADERS, "answer 4xx to input that cannot be used, and no error with a stack trace";
    /// A value becomes part of a page.
    REFLECTED = "SDK-XSS-001", 79, SCRIPTING, "escape on output, by the place in which a value stands";
    /// A stored value becomes part of a page.
    STORED = "SDK-XSS-002", 79, SCRIPTING, "escape on output, by the place in which a value stands";
    /// Credentials are not needed.
    BYPASS = "SDK-AUTH-001", 287, AUTHENTICATION, "refuse with 401 whatever does not carry valid credentials";
    /// Another spelling of the path leads around the check.
    PATH_TRICK = "SDK-AUTH-002", 288, AUTHENTICATION, "check access on the path that is routed, after it is normalised";
    /// A header leads around the check.
    HEADER_TRICK = "SDK-AUTH-003", 290, AUTHENTICATION, "do not decide by headers that a client can send";
    /// A token that nobody signed is taken.
    UNSIGNED = "SDK-JWT-001", 347, TOKENS, "verify the signature, with the algorithm that is expected and no other";
    /// The key of tokens can be guessed.
    WEAK_KEY = "SDK-JWT-002", 326, TOKENS, "replace the key by at least 256 random bits";
    /// A token that has expired is taken.
    EXPIRED = "SDK-JWT-003", 613, TOKENS, "check `exp`";
    /// Another user's object is shown.
    OBJECT = "SDK-ACCESS-001", 639, OBJECTS, "check on every object that it belongs to who asks";
    /// A privileged function is open to everybody.
    FUNCTION = "SDK-ACCESS-002", 285, FUNCTIONS, "check on every function that who asks has the role for it";
    /// Nothing limits the rate of requests.
    NO_LIMIT = "SDK-RATE-001", 770, LIMITS, "answer 429 with Retry-After above a limit per client";
    /// A hundred requests break something.
    BREAKS = "SDK-RATE-002", 770, LIMITS, "limit concurrency before the work begins, and answer 429 or 503";
    /// A header leads around the limit.
    LIMIT_BYPASS = "SDK-RATE-003", 348, LIMITS, "count by the address of the connection, and believe forwarded headers of known proxies only";
    /// Passwords can be tried without end.
    LOGIN_UNLIMITED = "SDK-RATE-004", 307, LOGIN, "slow down or lock after some wrong passwords, by user and by address";
    /// Any page may read answers.
    ANY_ORIGIN = "SDK-CORS-001", 942, ORIGINS, "compare the origin with a list of exact names";
    /// Pages without an origin may read answers.
    NULL_ORIGIN = "SDK-CORS-002", 942, ORIGINS, "do not allow the origin null: any sandboxed frame has it";
    /// Origins that only look like trusted ones may read answers.
    LOOKALIKE_ORIGIN = "SDK-CORS-003", 346, ORIGINS, "compare the whole origin, not its beginning, its end or a pattern with a bare dot";
    /// Pages without TLS may read answers given over TLS.
    PLAIN_ORIGIN = "SDK-CORS-004", 319, ORIGINS, "trust https origins only";
    /// Whatever is below a trusted origin may read answers.
    SUBDOMAIN_ORIGIN = "SDK-CORS-005", 942, ORIGINS, "name the subdomains that are trusted: whoever takes one over is one";
    /// Types may be guessed.
    NOSNIFF = "SDK-HEAD-001", 693, HEADERS, "send X-Content-Type-Options: nosniff";
    /// Versions are told.
    VERSION = "SDK-HEAD-002", 200, HEADERS, "leave the version out";
    /// TLS may be stripped.
    HSTS = "SDK-HEAD-003", 319, HEADERS, "send Strict-Transport-Security with a max-age of a year";
    /// Pages without a useful policy.
    CSP = "SDK-HEAD-004", 693, HEADERS, "send a Content-Security-Policy without unsafe-inline and unsafe-eval";
    /// Pages can be framed.
    FRAMING = "SDK-HEAD-005", 1021, HEADERS, "send Content-Security-Policy: frame-ancestors 'none', or X-Frame-Options: DENY";
    /// Cookies that others can read or send.
    COOKIE = "SDK-HEAD-006", 614, HEADERS, "set Secure, HttpOnly and SameSite";
    /// Referrers tell too much.
    REFERRER = "SDK-HEAD-007", 200, HEADERS, "send Referrer-Policy: no-referrer or strict-origin-when-cross-origin";
    /// Answers with credentials may be cached.
    CACHE = "SDK-HEAD-008", 525, HEADERS, "send Cache-Control: no-store with what is for one user";
    /// Scripts of others without a checksum.
    INTEGRITY = "SDK-HEAD-009", 353, HEADERS, "load scripts over https and with an integrity attribute";
    /// Errors show the inside.
    VERBOSE_ERROR = "SDK-HEAD-010", 209, HEADERS, "answer errors without stack traces";
    /// Uploads that become active content.
    ACTIVE_UPLOAD = "SDK-UPLOAD-001", 434, UPLOADS, "serve uploads as attachments from a host of their own, with nosniff and a fixed type";
    /// Uploads that choose their place.
    TRAVERSAL = "SDK-UPLOAD-002", 22, UPLOADS, "name stored files yourself";
    /// Uploads without a bound.
    OVERSIZE = "SDK-UPLOAD-003", 400, UPLOADS, "refuse with 413 by Content-Length and while reading";
    /// Uploads of types that are not meant.
    WRONG_TYPE = "SDK-UPLOAD-004", 434, UPLOADS, "check the ending against a list and the content against the ending";
    /// Archives that are unpacked without care.
    ARCHIVE = "SDK-UPLOAD-005", 409, UPLOADS, "check names and sizes of entries before an archive is unpacked";
    /// Names of uploads that become part of a page.
    LISTED_NAME = "SDK-UPLOAD-006", 79, UPLOADS, "escape the names of files where they are shown, or name stored files yourself";
    /// A key in an answer.
    KEY = "SDK-KEYS-001", 200, SECRETS, "replace the key at its issuer, then keep it out of answers";
    /// A file that should not be served.
    EXPOSED_FILE = "SDK-KEYS-002", 538, SECRETS, "serve nothing but what is meant to be served; replace what it held";
    /// A key in the environment of a container.
    KEY_IN_CONTAINER = "SDK-KEYS-003", 526, SECRETS, "hand secrets over as files, and replace this one";
    /// A key in the history of an image.
    KEY_IN_IMAGE = "SDK-KEYS-004", 798, SECRETS, "replace the key, and build with secret mounts";
    /// A package with a known vulnerability.
    VULNERABLE_PACKAGE = "SDK-IMG-001", 1395, COMPONENTS, "update the package";
    /// An operating system without fixes.
    END_OF_LIFE = "SDK-IMG-002", 1104, COMPONENTS, "build it anew on a release that is maintained";
}

impl Rule {
    /// A finding of this rule; what it needs besides is set by who found it.
    pub fn finding(&self, severity: Severity, place: &str, parameter: Option<&str>) -> Finding {
        Finding {
            rule: self.id.to_owned(),
            about: self.about.trim().trim_end_matches('.').to_owned(),
            title: String::new(),
            severity,
            confidence: Confidence::Firm,
            cwe: self.cwe,
            place: crate::platform::text::excerpt(place),
            evidence: String::new(),
            remedy: self.remedy.to_owned(),
            fingerprint: fingerprint(self.id, place, parameter.unwrap_or_default()),
            parameter: parameter.map(crate::platform::text::excerpt),
            references: self.references.iter().map(|&name| name.to_owned()).collect(),
            exchanges: Vec::new(),
            fixable: None,
            suppressed: None,
            novelty: None,
        }
    }
}

/// The same for the same weakness in the same place: SHA-256 in hexadecimal.
pub fn fingerprint(rule: &str, place: &str, parameter: &str) -> String {
    hex(&Sha256::digest(format!("{rule}\n{place}\n{parameter}").as_bytes()))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_every_rule_can_be_looked_up_elsewhere() {
        let mut ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        assert!(ALL.iter().all(|rule| rule.cwe > 0 && !rule.references.is_empty()));
    }

    #[test]
    fn a_fingerprint_is_that_of_the_place_and_not_of_the_evidence() {
        let one = SQL_INJECTION.finding(Severity::High, "rag GET /a", Some("query q"));
        let mut other = SQL_INJECTION.finding(Severity::Critical, "rag GET /a", Some("query q"));
        other.evidence = "another".into();
        assert_eq!(one.fingerprint, other.fingerprint);
        assert_ne!(one.fingerprint, fingerprint("SDK-SQLI-001", "rag GET /a", "query r"));
        assert_eq!(one.fingerprint.len(), 64);
    }
}
