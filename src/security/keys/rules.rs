//! The shapes of keys, as their issuers publish them.

/// A kind of key.
#[derive(Debug)]
pub struct Shape {
    /// What it is.
    pub name: &'static str,
    /// Its shape; the first group is the key.
    pub pattern: &'static str,
    /// Least entropy, bits per character.
    pub entropy: f64,
    /// Whether the shape alone says so.
    pub certain: bool,
}

/// Words that only examples have, in lower case.
pub const EXAMPLES: [&str; 12] = [
    "example",
    "your-",
    "your_",
    "xxxx",
    "placeholder",
    "changeme",
    "dummy",
    "redacted",
    "sample",
    "insert",
    "<",
    "${",
];

macro_rules! shapes {
    ($($name:literal $entropy:literal $certain:literal $pattern:literal;)*) => {
        /// All of them; the certain ones first, because what they take the generic one leaves.
        pub const RULES: &[Shape] = &[$(Shape {
            name: $name, pattern: $pattern, entropy: $entropy, certain: $certain,
        }),*];
    };
}

shapes! {
    "OpenAI key" 3.0 true r"\b(sk-(?:(?:proj|svcacct|admin)-)?[A-Za-z0-9_-]{16,80}T3BlbkFJ[A-Za-z0-9_-]{16,80})\b";
    "Anthropic key" 3.0 true r"\b(sk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_-]{80,110})";
    "AWS access key" 3.0 true r"\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b";
    "Google API key" 3.5 true r"\b(AIza[A-Za-z0-9_-]{35})";
    "Google OAuth secret" 3.0 true r"\b(GOCSPX-[A-Za-z0-9_-]{28})";
    "GitHub token" 3.0 true r"\b(gh[pousr]_[A-Za-z0-9]{36})\b";
    "GitHub token" 3.0 true r"\b(github_pat_[A-Za-z0-9_]{82})\b";
    "GitLab token" 3.0 true r"\b(glpat-[A-Za-z0-9_-]{20})";
    "Hugging Face token" 2.0 true r"\b(hf_[A-Za-z]{34})\b";
    "Stripe key" 2.0 true r"\b([sr]k_(?:live|prod)_[A-Za-z0-9]{20,99})\b";
    "Slack token" 2.0 true r"\b(xox[abprs]-[0-9]{8,14}-[A-Za-z0-9-]{20,80})";
    "SendGrid key" 3.0 true r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})";
    "npm token" 3.0 true r"\b(npm_[A-Za-z0-9]{36})\b";
    "PyPI token" 3.0 true r"\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,200})";
    "Replicate token" 3.0 true r"\b(r8_[A-Za-z0-9]{37})\b";
    "Groq key" 3.0 true r"\b(gsk_[A-Za-z0-9]{52})\b";
    "Pinecone key" 3.0 true r"\b(pcsk_[A-Za-z0-9_]{50,90})\b";
    "private key" 3.0 true r"-----BEGIN (?:RSA |EC |OPENSSH |DSA |ENCRYPTED )?PRIVATE KEY-----[\s\\nr]*([A-Za-z0-9+/=\s\\]{64,4000})";
    "password in a URL" 1.5 true r"(?i)\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp|neo4j|bolt)://[^\s:/@]{1,60}:([^\s/@:]{6,80})@";
    "JSON web token" 3.0 false r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})";
    "secret" 3.5 false r#"(?i)(?:api[_-]?key|secret(?:[_-]?access)?(?:[_-]?key)?|access[_-]?token|auth[_-]?token|private[_-]?key|passwd|password)["']?\s{0,3}[:=]\s{0,3}["']?([A-Za-z0-9+/_.=-]{20,120})"#;
}
