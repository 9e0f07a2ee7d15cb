//! JSON web tokens: taken apart, and put together in ways that no service should accept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};

/// Keys that are tried against a signature, here and not on the service.
const WEAK_KEYS: [&str; 36] = [
    "",
    "secret",
    "password",
    "changeme",
    "change-me",
    "changeit",
    "admin",
    "test",
    "key",
    "jwt",
    "jwt_secret",
    "jwt-secret",
    "jwtsecret",
    "mysecret",
    "my-secret",
    "my_secret",
    "supersecret",
    "super-secret",
    "super_secret",
    "secretkey",
    "secret-key",
    "secret_key",
    "your-256-bit-secret",
    "your-secret-key",
    "your_secret_key",
    "your-secret",
    "default",
    "dev",
    "development",
    "production",
    "token",
    "s3cr3t",
    "123456",
    "qwerty",
    "letmein",
    "none",
];

/// A token in its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: String,
}

impl Token {
    /// Takes a token apart; none when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let read = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let (header, claims) = (read(header)?, read(claims)?);
        header.contains_key("alg").then(|| Self { header, claims, signature: signature.to_owned() })
    }

    /// When it ends, seconds since 1970; none when it does not say.
    pub fn expires(&self) -> Option<i64> {
        self.claims.get("exp").and_then(Value::as_f64).map(|seconds| seconds as i64)
    }

    /// The key of its signature, where it is one that anybody would try.
    pub fn weak_key(&self, text: &str) -> Option<&'static str> {
        let algorithm = self.header.get("alg").and_then(Value::as_str)?.to_owned();
        let (signed, _) = text.rsplit_once('.')?;
        WEAK_KEYS.into_iter().find(|key| {
            sign(&algorithm, key.as_bytes(), signed).is_some_and(|made| made == self.signature)
        })
    }

    /// The same token for other claims, signed with a key.
    pub fn signed(
        &self,
        key: &[u8],
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Option<String> {
        let mut token = self.clone();
        change(&mut token.claims);
        let algorithm = token.header.get("alg").and_then(Value::as_str)?.to_owned();
        let signed = token.unsigned();
        Some(format!("{signed}.{}", sign(&algorithm, key, &signed)?))
    }

    /// Forgeries that need no key, with what each is.
    pub fn forgeries(&self) -> Vec<(&'static str, String)> {
        let with = |name: &str, value: Value| {
            let mut token = self.clone();
            token.header.insert(name.to_owned(), value);
            token
        };
        let mut all: Vec<(&'static str, String)> = ["none", "None", "NONE", "nOnE"]
            .into_iter()
            .map(|none| {
                (
                    "a token of the algorithm none",
                    format!("{}.", with("alg", json!(none)).unsigned()),
                )
            })
            .collect();
        all.push(("a token without its signature", format!("{}.", self.unsigned())));
        let mut other = self.clone();
        other.claims.insert("shakedown".into(), json!("changed"));
        let changed = format!("{}.{}", other.unsigned(), self.signature);
        all.push(("a token that was changed after it was signed", changed));
        let own = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode("shakedown") });
        for (words, name, value, key) in [
            (
                "a token whose key is an empty file",
                "kid",
                json!("../../../../../../../../dev/null"),
                "",
            ),
            // A statement that looks the key up finds none, and is told of one.
            (
                "a token that names its key in a statement",
                "kid",
                json!("none' UNION SELECT 'shakedown"),
                "shakedown",
            ),
            ("a token that brings its own key", "jwk", own, "shakedown"),
        ] {
            let mut token = with(name, value);
            token.header.insert("alg".into(), json!("HS256"));
            all.extend(token.signed(key.as_bytes(), |_| {}).map(|token| (words, token)));
        }
        all
    }

    fn unsigned(&self) -> String {
        let part = |map: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(Value::Object(map.clone()).to_string())
        };
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

/// A signature by a shared key; none for algorithms without one.
fn sign(algorithm: &str, key: &[u8], text: &str) -> Option<String> {
    fn made<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &str) -> Option<String> {
        let mut mac = <M as Mac>::new_from_slice(key).ok()?;
        mac.update(text.as_bytes());
        Some(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
    match algorithm {
        "HS256" => made::<Hmac<Sha256>>(key, text),
        "HS384" => made::<Hmac<Sha384>>(key, text),
        "HS512" => made::<Hmac<Sha512>>(key, text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7515, A.1, whose key nobody would try.
    const RFC: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn signatures_are_those_of_the_standard() {
        let token = Token::parse(RFC).expect("a token");
        assert_eq!(token.expires(), Some(1_300_819_380));
        assert_eq!(token.weak_key(RFC), None);
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).expect("a key");
        let (signed, signature) = RFC.rsplit_once('.').expect("three parts");
        assert_eq!(sign("HS256", &key, signed).as_deref(), Some(signature));
    }

    #[test]
    fn weak_keys_are_found_and_forgeries_differ() {
        let token = Token::parse(RFC).expect("a token");
        let weak = token.signed(b"changeme", |claims| drop(claims.remove("exp"))).expect("signed");
        let parsed = Token::parse(&weak).expect("a token");
        assert_eq!((parsed.weak_key(&weak), parsed.expires()), (Some("changeme"), None));
        let forged = token.forgeries();
        assert_eq!(forged.len(), 9);
        assert!(forged.iter().all(|(_, text)| text != RFC && text.split('.').count() == 3));
        assert_eq!(Token::parse("a.b.c"), None);
    }
}
