//! The documents that the practice RAG and MCP services know from the start.

/// Id and text of each document.
pub const HANDBOOK: [(&str, &str); 6] = [
    ("scaling", "When the queue grows, scale the workers before the gateway, and watch memory."),
    ("rollback", "Before a rollback, tell the release owner, freeze ingestion and take a backup."),
    ("budget", "An error budget is what the objective leaves: 0.5 percent of requests a month."),
    ("restore", "Restore into scratch first, verify record by record, then switch over."),
    (
        "oncall",
        "The first look is at latency, errors and saturation of every service, in that order.",
    ),
    ("keys", "Rotate service keys every ninety days and whenever somebody leaves the team."),
];

/// How well a text answers a question: the share of the question's words that are in the text.
pub fn overlap(question: &str, text: &str) -> f64 {
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        let split = text.split(|c: char| !c.is_alphanumeric());
        split.filter(|word| word.len() > 2).map(str::to_lowercase).collect()
    };
    let (asked, known) = (words(question), words(text));
    if asked.is_empty() {
        0.0
    } else {
        asked.intersection(&known).count() as f64 / asked.len() as f64
    }
}
