//! A virtual user's cookies (RFC 6265). A user speaks to one origin, so what is kept goes there alone: one for
//! another domain is not kept, nor is a `Secure` one that came in the clear.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use tokio::time::Instant;

/// Most cookies of one user, and longest one.
const MAX_COOKIES: usize = 50;
const MAX_COOKIE_BYTES: usize = 4096;

/// What a user has been given to keep.
#[derive(Debug, Default)]
pub struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    /// Until when it is sent; as long as the session lasts without an end.
    until: Option<Instant>,
}

impl Cookie {
    fn is_alive(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn belongs_to(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
            rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/')
        })
    }
}

/// Who sets cookies.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Its host, and its port where that is not the usual one.
    pub authority: &'a str,
    /// Whether what it sends is encrypted.
    pub is_secure: bool,
}

impl Origin<'_> {
    /// Whether cookies for a domain are for it: its own name, or one above it. Addresses have none above.
    fn is_of(self, domain: &str) -> bool {
        let (domain, host) = (domain.trim_start_matches('.'), self.host());
        let above = host.len().checked_sub(domain.len() + 1);
        let is_below = above.is_some_and(|at| {
            host.as_bytes()[at] == b'.'
                && host.as_bytes()[at + 1..].eq_ignore_ascii_case(domain.as_bytes())
        });
        domain.is_empty()
            || host.eq_ignore_ascii_case(domain)
            || (is_below && host.parse::<IpAddr>().is_err())
    }

    fn host(&self) -> &str {
        let (host, port) = self.authority.rsplit_once(':').unwrap_or((self.authority, ""));
        let host = if port.ends_with(']') { self.authority } else { host };
        host.trim_matches(['[', ']'])
    }
}

impl Cookies {
    /// Takes in what the answer to a request for a path sets.
    pub fn take_in(&mut self, headers: &HeaderMap, path: &str, from: Origin<'_>) {
        for header in headers.get_all(SET_COOKIE) {
            if let Ok(text) = header.to_str()
                && text.len() <= MAX_COOKIE_BYTES
            {
                self.set(text, path, from, Instant::now());
            }
        }
    }

    fn set(&mut self, text: &str, asked: &str, from: Origin<'_>, now: Instant) {
        let mut parts = text.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let (mut path, mut max_age, mut expires) = (folder(asked), None, None);
        let (mut is_secure, mut domain) = (false, "");
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" => path = if value.starts_with('/') { value } else { folder(asked) },
                "max-age" => max_age = seconds(value).or(max_age),
                "expires" => expires = time_left(value).or(expires),
                "secure" => is_secure = true,
                "domain" => domain = value,
                _ => {}
            }
        }
        if (is_secure && !from.is_secure) || !from.is_of(domain) {
            return;
        }
        let name = name.trim();
        self.0.retain(|known| known.is_alive(now) && (known.name != name || known.path != path));
        let lasts = max_age.or(expires);
        if name.is_empty() || lasts == Some(Duration::ZERO) || self.0.len() == MAX_COOKIES {
            return;
        }
        let cookie = Cookie {
            name: name.to_owned(),
            value: value.trim().to_owned(),
            path: path.to_owned(),
            until: lasts.and_then(|lasts| now.checked_add(lasts)),
        };
        // Those of longer paths are sent first.
        let at = self.0.partition_point(|known| known.path.len() >= cookie.path.len());
        self.0.insert(at, cookie);
    }

    /// Adds the cookies that belong to a path to a request's headers, behind one that is configured.
    pub fn add_to(&self, headers: &mut HeaderMap, path: &str) {
        if self.is_empty() {
            return;
        }
        let (path, now) = (without_query(path), Instant::now());
        let belongs = |cookie: &&Cookie| cookie.is_alive(now) && cookie.belongs_to(path);
        let own = headers.get(COOKIE).and_then(|own| own.to_str().ok()).map(str::to_owned);
        let pairs = self.0.iter().filter(belongs);
        let pairs = pairs.map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs = own.into_iter().chain(pairs).collect::<Vec<_>>().join("; ");
        if !pairs.is_empty()
            && let Ok(value) = HeaderValue::try_from(pairs)
        {
            headers.insert(COOKIE, value);
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// The path of a cookie that names none: up to the last slash of the one that was asked for.
fn folder(asked: &str) -> &str {
    match without_query(asked).rsplit_once('/') {
        Some((folder, _)) if folder.starts_with('/') => folder,
        _ => "/",
    }
}

/// A `Max-Age`; what is not above 0 has passed.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: i64 = text.parse().ok()?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Time until an `Expires`, in any of the three forms of HTTP (RFC 9110, 5.6.7); the day of the week is taken
/// as told, and dashes in the date are as good as blanks.
fn time_left(date: &str) -> Option<Duration> {
    let told = date.split_once(',').map_or(date, |(_, told)| told).trim();
    let (day, rest) = told.split_once(' ')?;
    let usual = format!("{} {rest}", day.replace('-', " "));
    let of_c = || {
        let at = DateTime::strptime("%a %b %d %H:%M:%S %Y", date).ok()?;
        Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let at = DateTimeParser::new().parse_timestamp(usual).ok().or_else(of_c)?;
    Some(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user who was given these by the answer to a request for `/v1/login`.
    fn given(set: &[&'static str]) -> Cookies {
        let mut headers = HeaderMap::new();
        for text in set {
            headers.append(SET_COOKIE, HeaderValue::from_static(text));
        }
        let mut cookies = Cookies::default();
        cookies.take_in(&headers, "/v1/login?x=/y/z", HERE);
        cookies
    }

    const HERE: Origin<'static> = Origin { authority: "chat.example.com:8443", is_secure: true };

    fn sends(cookies: &Cookies, path: &str) -> String {
        let mut request = HeaderMap::new();
        cookies.add_to(&mut request, path);
        request.get(COOKIE).map(|v| v.to_str().expect("ASCII").to_owned()).unwrap_or_default()
    }

    fn sent(set: &[&'static str], path: &str) -> String {
        sends(&given(set), path)
    }

    #[test]
    fn cookies_are_kept_replaced_and_deleted() {
        assert_eq!(sent(&["a=1; HttpOnly; Secure", "b=x=y", "a=2"], "/v1/x"), "b=x=y; a=2");
        assert_eq!(sent(&["a=1", "a=; Max-Age=0"], "/v1/x"), "");
        assert_eq!(sent(&["a=1", "a=; Max-Age=-1"], "/v1/x"), "");
        assert_eq!(sent(&["=1", "nonsense"], "/v1/x"), "");
    }

    #[test]
    fn what_is_for_others_or_must_not_be_seen_is_not_kept() {
        let keeps = |authority, is_secure, attribute: &str| {
            let mut cookies = Cookies::default();
            let from = Origin { authority, is_secure };
            cookies.set(&format!("a=1; {attribute}"), "/", from, Instant::now());
            !cookies.is_empty()
        };
        for (authority, domain, kept) in [
            ("chat.example.com", "chat.example.com", true),
            ("chat.example.com:8080", ".Example.COM", true),
            ("chat.example.com", "", true),
            ("chat.example.com", "other.example.com", false),
            ("chat.example.com", "v1.chat.example.com", false),
            ("badexample.com", "example.com", false),
            ("10.1.2.3:80", "10.1.2.3", true),
            ("10.1.2.3:80", "2.3", false),
            ("[::1]:80", "::1", true),
            ("[::1]", "::1", true),
            ("localhost", "example.com", false),
        ] {
            assert_eq!(
                keeps(authority, false, &format!("Domain={domain}")),
                kept,
                "{authority} {domain}"
            );
        }
        assert!(keeps("localhost", true, "Secure"));
        assert!(!keeps("localhost", false, "secure; Path=/"));
        let mut cookies = given(&["a=1"]);
        let in_the_clear = Origin { is_secure: false, ..HERE };
        cookies.set("a=2; Secure", "/v1/x", in_the_clear, Instant::now());
        assert_eq!(sends(&cookies, "/v1/x"), "a=1", "it takes no other's place");
    }

    #[test]
    fn dates_that_have_passed_delete_in_every_form() {
        for date in [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wed, 21-Oct-2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Thu Jan  1 00:00:00 1970",
        ] {
            let mut cookies = given(&["a=1", "b=2"]);
            cookies.set(&format!("a=; expires={date}"), "/v1/x", HERE, Instant::now());
            assert_eq!(sends(&cookies, "/v1/x"), "b=2", "{date}");
        }
        for kept in [
            "a=1; Expires=Wed, 21 Oct 2415 07:28:00 GMT",
            "a=1; Max-Age=600; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "a=1; Expires=soon; Max-Age=never",
        ] {
            assert_eq!(sent(&[kept], "/v1/x"), "a=1", "{kept}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_is_sent_until_its_age_is_over() {
        let cookies = given(&["short=1; Max-Age=30", "long=2; Max-Age=9223372036854775807"]);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(sends(&cookies, "/v1/x"), "short=1; long=2");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sends(&cookies, "/v1/x"), "long=2");
    }

    #[test]
    fn without_a_path_it_belongs_to_the_folder_that_was_asked() {
        let cookies = given(&["a=1", "b=2; Path=/", "c=3; Path=elsewhere"]);
        assert_eq!(sends(&cookies, "/v1/query"), "a=1; c=3; b=2", "longer paths first");
        assert_eq!(sends(&cookies, "/v2/query"), "b=2");
        assert_eq!(
            [folder("/"), folder("/login"), folder("/a/b/c"), folder("")],
            ["/", "/", "/a/b", "/"]
        );
    }

    #[test]
    fn a_cookie_that_is_configured_is_sent_beside_those_that_were_given() {
        let mut request = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("login=x"))]);
        given(&["sticky=1; Path=/"]).add_to(&mut request, "/v1/x");
        assert_eq!(request.get(COOKIE), Some(&HeaderValue::from_static("login=x; sticky=1")));
    }

    #[test]
    fn a_path_keeps_a_cookie_to_itself() {
        assert_eq!(sent(&["a=1; Path=/api"], "/api/v1?x=1"), "a=1");
        assert_eq!(sent(&["a=1; Path=/api"], "/apiary"), "");
        assert_eq!(sent(&["a=1; Path=/api"], "/"), "");
    }
}
