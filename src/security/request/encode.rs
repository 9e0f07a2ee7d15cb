//! How a request looks on the wire.

use percent_encoding::utf8_percent_encode;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str};

use super::{Body, Part, Request};

/// What is encoded in a segment of a path (RFC 3986, 3.3), and the dot, which would be normalised.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');
/// What must be encoded in a path that is sent as it is.
const RAW: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');
/// What cannot stand in a cookie's value, or would be taken for an encoding (RFC 6265, 4.1.1; spaces are
/// taken by servers). The rest goes as it is: not every server decodes cookies.
const COOKIE_VALUE: &AsciiSet = &CONTROLS.add(b'"').add(b',').add(b';').add(b'\\').add(b'%');
/// What is encoded in a query or a form.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// The body of a request as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its Content-Type; none without a body.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The body as it goes over the wire.
    pub fn encoded(&self) -> Encoded {
        match &self.body {
            Body::Empty => Encoded { content_type: None, bytes: Vec::new() },
            Body::Json(value) => Encoded {
                content_type: Some("application/json".into()),
                bytes: value.to_string().into_bytes(),
            },
            Body::Form(fields) => Encoded {
                content_type: Some("application/x-www-form-urlencoded".into()),
                bytes: form(fields).into_bytes(),
            },
            Body::Multipart(parts) => multipart(parts),
            Body::Raw(kind, bytes) => {
                Encoded { content_type: Some(kind.clone()), bytes: bytes.clone() }
            }
        }
    }

    /// The Cookie header; none without cookies.
    pub fn cookie(&self) -> Option<String> {
        let cookies = self.cookies.iter();
        let pairs: Vec<String> =
            cookies.map(|(name, value)| format!("{name}={}", cookie_value(value))).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// A value as one segment of a path. A segment of dots alone is encoded whole.
pub fn segment(text: &str) -> String {
    let encoded = utf8_percent_encode(text, SEGMENT).to_string();
    if encoded.bytes().all(|byte| byte == b'.') { encoded.replace('.', "%2E") } else { encoded }
}

/// A path or header text made fit for a request line; what is encoded already stays.
pub fn raw(path: &str) -> String {
    utf8_percent_encode(path, RAW).to_string()
}

fn value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

fn cookie_value(text: &str) -> String {
    utf8_percent_encode(text, COOKIE_VALUE).to_string()
}

/// Pairs as a query or form.
pub fn form(pairs: &[(String, String)]) -> String {
    let pair = |(name, text): &(String, String)| format!("{}={}", value(name), value(text));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Path and query of a configured or linked path.
pub fn split_query(path: &str) -> (String, Vec<(String, String)>) {
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    (path.to_owned(), pairs.collect())
}

/// The text of an encoded segment.
pub fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// RFC 7578, with file names as they are: hostile ones are the point. Line ends cannot stand in one.
fn multipart(parts: &[Part]) -> Encoded {
    let boundary = format!("shakedown-{:032x}", rand::random::<u128>());
    let mut bytes = Vec::new();
    for part in parts {
        let clean = |text: &str| text.replace(['\r', '\n'], " ").replace('"', "%22");
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            clean(&part.name)
        );
        if let Some(name) = &part.file_name {
            head += &format!("; filename=\"{}\"", clean(name));
        }
        head += "\r\n";
        if let Some(kind) = &part.content_type {
            head += &format!("Content-Type: {}\r\n", clean(kind));
        }
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&part.content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = Some(format!("multipart/form-data; boundary={boundary}"));
    Encoded { content_type, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;

    #[test]
    fn what_is_sent_says_what_was_meant() {
        let mut request = Request::get(ServiceKind::Rag, "/a?q=x+y&z=%27");
        assert_eq!(request.query, [("q".into(), "x y".into()), ("z".into(), "'".into())]);
        assert_eq!(request.target(), "/a?q=x%20y&z=%27");
        request.cookies = vec![("id".into(), "a;b' AND 'é".into())];
        assert_eq!(request.cookie().as_deref(), Some("id=a%3Bb' AND '%C3%A9"));
        assert_eq!(segment("a/b'"), "a%2Fb%27");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn a_file_name_cannot_leave_its_header() {
        let part = Part {
            name: "file".into(),
            file_name: Some("a\"\r\nX: y".into()),
            content_type: None,
            content: b"x".to_vec(),
        };
        let text = String::from_utf8(multipart(&[part]).bytes).expect("text");
        assert!(text.contains("filename=\"a%22  X: y\""), "{text}");
    }
}
