//! Origins that nobody trusts, and such that look like trusted ones.

/// Two origins of strangers.
pub fn strangers(mark: &str) -> [String; 2] {
    [format!("https://{mark}.example"), format!("https://{mark}-other.example")]
}

/// An origin that looks like a trusted one.
pub struct Lookalike {
    /// The origin.
    pub origin: String,
    /// How it does.
    pub kind: Kind,
}

/// How an origin looks like a trusted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To who compares it carelessly.
    Mistaken,
    /// It is the trusted one without TLS.
    Plain,
    /// It is below the trusted one, which may be meant.
    Below,
}

/// What is taken for a trusted origin where only its beginning, its end or a pattern is compared.
pub fn lookalikes(trusted: &str, mark: &str) -> Vec<Lookalike> {
    let Some((scheme, host)) = trusted.split_once("://") else { return Vec::new() };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, format!(":{port}"))
        }
        _ => (host, String::new()),
    };
    let mut origins = vec![
        // Compared by its beginning.
        format!("{scheme}://{host}.{mark}.example"),
        format!("{scheme}://{name}.{mark}.example{port}"),
        format!("{scheme}://{name}`.{mark}.example"),
        format!("{scheme}://{name}_.{mark}.example"),
        // Compared by its end.
        format!("{scheme}://{mark}{host}"),
    ];
    // A pattern in which the dot stands for any letter.
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b':');
    if !numeric && let Some((label, rest)) = name.split_once('.') {
        origins.push(format!("{scheme}://{label}x{rest}{port}"));
    }
    let of = |kind| move |origin| Lookalike { origin, kind };
    let mut all: Vec<Lookalike> = origins.into_iter().map(of(Kind::Mistaken)).collect();
    if scheme == "https" {
        all.push(of(Kind::Plain)(format!("http://{host}")));
    }
    // Last, because who lets it in may mistake others as well: whoever takes one over would be it.
    all.push(of(Kind::Below)(format!("{scheme}://{mark}.{host}")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalikes_begin_or_end_like_the_trusted_one() {
        let all: Vec<String> =
            lookalikes("https://app.example.com", "m").into_iter().map(|l| l.origin).collect();
        for origin in [
            "https://app.example.com.m.example",
            "https://mapp.example.com",
            "https://m.app.example.com",
            "https://appxexample.com",
            "http://app.example.com",
        ] {
            assert!(all.contains(&origin.to_owned()), "{origin}: {all:?}");
        }
        assert!(!all.contains(&"https://app.example.com".to_owned()), "not itself");
    }
}
