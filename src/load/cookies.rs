//! A virtual user's cookies. A user speaks to one origin, so domains play no part (RFC 6265).

use hyper::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

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
}

impl Cookies {
    /// Takes in what an answer sets.
    pub fn take_in(&mut self, headers: &HeaderMap) {
        for header in headers.get_all(SET_COOKIE) {
            if let Ok(text) = header.to_str()
                && text.len() <= MAX_COOKIE_BYTES
            {
                self.set(text);
            }
        }
    }

    fn set(&mut self, text: &str) {
        let mut parts = text.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let mut cookie = Cookie {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: "/".into(),
        };
        let mut gone = cookie.name.is_empty();
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.trim().starts_with('/') => {
                    value.trim().clone_into(&mut cookie.path)
                }
                "max-age" => gone |= value.trim().parse::<i64>().is_ok_and(|age| age <= 0),
                // The usual way to delete a cookie is a date at the beginning of the epoch.
                "expires" => gone |= value.contains("1970") || value.contains("-70 "),
                _ => {}
            }
        }
        self.0.retain(|known| known.name != cookie.name || known.path != cookie.path);
        if !gone && self.0.len() < MAX_COOKIES {
            self.0.push(cookie);
        }
    }

    /// Adds the cookies that belong to a path to a request's headers.
    pub fn add_to(&self, headers: &mut HeaderMap, path: &str) {
        let path = path.split('?').next().unwrap_or_default();
        let belongs = |cookie: &&Cookie| {
            path.strip_prefix(cookie.path.as_str()).is_some_and(|rest| {
                rest.is_empty() || cookie.path.ends_with('/') || rest.starts_with('/')
            })
        };
        let pairs = self.0.iter().filter(belongs).map(|c| format!("{}={}", c.name, c.value));
        let pairs = pairs.collect::<Vec<_>>().join("; ");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &[&'static str], path: &str) -> String {
        let mut headers = HeaderMap::new();
        for text in set {
            headers.append(SET_COOKIE, HeaderValue::from_static(text));
        }
        let mut cookies = Cookies::default();
        cookies.take_in(&headers);
        let mut request = HeaderMap::new();
        cookies.add_to(&mut request, path);
        request.get(COOKIE).map(|v| v.to_str().expect("ASCII").to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookies_are_kept_replaced_and_deleted() {
        assert_eq!(sent(&["a=1; HttpOnly; Secure", "b=x=y", "a=2"], "/"), "b=x=y; a=2");
        assert_eq!(sent(&["a=1", "a=; Max-Age=0"], "/"), "");
        assert_eq!(sent(&["a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/"), "");
        assert_eq!(sent(&["=1", "nonsense"], "/"), "");
    }

    #[test]
    fn a_path_keeps_a_cookie_to_itself() {
        assert_eq!(sent(&["a=1; Path=/api"], "/api/v1?x=1"), "a=1");
        assert_eq!(sent(&["a=1; Path=/api"], "/apiary"), "");
        assert_eq!(sent(&["a=1; Path=/api"], "/"), "");
    }
}
