//! Whether a second user is shown the very things that the first one has, or things of the same kind of
//! his own: by ids, owners and data rather than by status and shape.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::security::answer::{Answer, resemblance};
use crate::security::steady::Steady;

/// What a second user is shown of the first one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The same things.
    Same,
    /// Something so alike that it cannot be told whether it is the same.
    Alike,
    /// Something else.
    Other,
    /// The first user's own answer holds nothing that could be told apart.
    Nothing,
}

/// Share of the first user's data that has to come back in what is called alike.
const ALIKE: f64 = 0.9;
/// Characters from which on a value is a text that somebody wrote, and no setting.
const FREE_TEXT: usize = 24;
/// Digits of a number that may be a setting, such as the size of a font.
const SETTING_DIGITS: usize = 3;
/// Stands for a list without anything in it.
const EMPTY: &str = "[]";
/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 16;
/// What goes around data.
const AROUND: [&str; 18] = [
    "status", "ok", "success", "message", "code", "version", "total", "count", "page", "pages",
    "size", "limit", "offset", "per_page", "next", "prev", "has_more", "object",
];
/// What is told of who asks rather than of what is shown; and of the request itself.
const OF_THE_VIEWER: [&str; 18] = [
    "viewer",
    "viewed_by",
    "requested_by",
    "you",
    "me",
    "current_user",
    "is_owner",
    "is_mine",
    "mine",
    "permissions",
    "role",
    "roles",
    "can_edit",
    "can_delete",
    "can_share",
    "request_id",
    "trace_id",
    "correlation_id",
];
/// Names of ids and owners, and the ends of longer ones.
const IDENTITY: [&str; 13] = [
    "id", "uuid", "guid", "owner", "user", "username", "login", "email", "sub", "author",
    "account", "customer", "tenant",
];

/// What the second user is shown, beside what the first is; both were asked several times.
pub fn shown(owner: &[Answer], other: &[Answer]) -> Shown {
    let alike = other.iter().all(|answer| owner.iter().all(|own| own.status == answer.status));
    if !alike {
        return Shown::Other;
    }
    match (leaves_of(owner), leaves_of(other)) {
        (Some(owner), Some(other)) => by_leaves(&owner, &other),
        (None, None) => by_words(owner, other),
        _ => Shown::Other,
    }
}

/// How often each value stands under each name, whatever the order of lists.
type Leaves = BTreeMap<(String, String), usize>;

/// Values that stand in every answer; none where one is no JSON.
fn leaves_of(answers: &[Answer]) -> Option<Leaves> {
    let mut all = answers.iter().map(|answer| {
        let value: Value = serde_json::from_str(&answer.body).ok()?;
        let mut leaves = Leaves::new();
        walk(&value, "", 0, &mut leaves);
        Some(leaves)
    });
    let first = all.next()??;
    all.try_fold(first, |mut steady, leaves| {
        let leaves = leaves?;
        steady.retain(|leaf, n| {
            *n = (*n).min(leaves.get(leaf).copied().unwrap_or(0));
            *n > 0
        });
        Some(steady)
    })
}

fn walk(value: &Value, at: &str, depth: usize, leaves: &mut Leaves) {
    let mut leaf = |text: String| *leaves.entry((at.to_owned(), text)).or_default() += 1;
    match value {
        _ if depth > MAX_DEPTH => {}
        Value::Null => {}
        Value::Bool(yes) => leaf(yes.to_string()),
        Value::Number(number) => leaf(number.to_string()),
        Value::String(text) => leaf(text.clone()),
        Value::Array(items) if items.is_empty() => leaf(EMPTY.into()),
        Value::Array(items) => items.iter().for_each(|item| walk(item, at, depth + 1, leaves)),
        Value::Object(fields) => {
            for (name, item) in fields {
                walk(item, &format!("{at}/{name}"), depth + 1, leaves);
            }
        }
    }
}

fn by_leaves(owner: &Leaves, other: &Leaves) -> Shown {
    let data: Vec<_> = owner.iter().filter(|((at, text), _)| is_data(at, text)).collect();
    // Words around an empty list are the same for everybody.
    let named = data.iter().any(|((at, _), _)| is_identity(at));
    let hollow = !named && owner.keys().any(|(_, text)| text == EMPTY);
    if data.is_empty() || hollow {
        return Shown::Nothing;
    }
    let comes_back = |leaf: &(String, String), n: usize| other.get(leaf).is_some_and(|m| *m >= n);
    let missing: Vec<_> = data.iter().filter(|(leaf, n)| !comes_back(leaf, **n)).collect();
    if missing.is_empty() {
        // Settings of a few words may be the same for everybody.
        let telling = named || data.iter().any(|((_, text), _)| tells_apart(text));
        return if telling { Shown::Same } else { Shown::Alike };
    }
    let known = 1.0 - missing.len() as f64 / data.len() as f64;
    // Another id or owner is another thing.
    if missing.iter().any(|((at, _), _)| is_identity(at)) || known < ALIKE {
        return Shown::Other;
    }
    Shown::Alike
}

/// Whether a value is hardly ever that of two things: a number of more than a few digits, or a sentence. An
/// address of what everybody is given is neither.
fn tells_apart(text: &str) -> bool {
    has_long_number(text) || (text.chars().count() >= FREE_TEXT && text.contains(' '))
}

/// The last part of where a value stands, in the way of `snake_case`.
fn name(at: &str) -> String {
    let last = at.rsplit('/').next().unwrap_or_default();
    let mut name = String::new();
    for letter in last.chars() {
        if letter.is_uppercase() && name.ends_with(|c: char| c.is_lowercase()) {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name.replace('-', "_")
}

fn is_data(at: &str, text: &str) -> bool {
    let name = name(at);
    let empty = text.is_empty() || ["0", "true", "false", EMPTY].contains(&text);
    let around = at.matches('/').count() < 2 && AROUND.contains(&name.as_str());
    !empty && !around && !OF_THE_VIEWER.contains(&name.as_str())
}

/// Whether a name is that of an id or an owner. It is its last part that says what it is: `email_frequency`
/// is no e-mail address.
fn is_identity(at: &str) -> bool {
    let name = name(at);
    let last = name.rsplit('_').next().unwrap_or_default();
    IDENTITY.contains(&last) || name.ends_with("_by")
}

/// Pages and texts: every word and number has to be the same where it stays the same for the first. One
/// without a number in it may be the same for everybody.
fn by_words(owner: &[Answer], other: &[Answer]) -> Shown {
    let (Some(steady), Some(own)) = (Steady::of(owner), owner.first()) else { return Shown::Other };
    if own.body.trim().is_empty() {
        return Shown::Nothing;
    }
    let mut same = true;
    for answer in other {
        match steady.differences(&answer.body) {
            Some(words) if words.is_empty() => {}
            Some(words) if words.iter().all(|(word, _)| !has_figure(word)) => same = false,
            _ => return Shown::Other,
        }
    }
    let near = other.iter().all(|answer| resemblance(&answer.body, &own.body) >= ALIKE);
    match (same, near) {
        (true, _) if steady.has(has_long_number) => Shown::Same,
        (true, _) | (false, true) => Shown::Alike,
        (false, false) => Shown::Other,
    }
}

fn has_long_number(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() > SETTING_DIGITS
}

fn has_figure(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    fn of(owner: &str, other: &str) -> Shown {
        let twice = |text: &str| vec![answer(200, &[], text); 2];
        shown(&twice(owner), &twice(other))
    }

    #[test]
    fn the_same_things_are_known_by_their_ids_and_owners() {
        let mine = r#"{"documents":[{"id":11,"title":"Plan","owner":"ann"},{"id":12,"title":"Bill","owner":"ann"}],"total":2}"#;
        assert_eq!(of(mine, mine), Shown::Same);
        // Among others, in another order, and with what is told of who asks.
        let more = r#"{"you":"bob","documents":[{"id":31,"title":"x","owner":"bob"},{"id":12,"title":"Bill","owner":"ann"},{"id":11,"title":"Plan","owner":"ann"}],"total":3}"#;
        assert_eq!(of(mine, more), Shown::Same);
        let page = "<h1>Invoice 4711</h1><p>1204.33 for Ann</p>";
        assert_eq!(of(page, page), Shown::Same);
    }

    #[test]
    fn lists_of_the_same_shape_are_others() {
        for (mine, his) in [
            (r#"[{"id":11,"title":"Plan"}]"#, r#"[{"id":21,"title":"Plan"}]"#),
            (r#"[{"id":1,"title":"Plan"}]"#, r#"[{"id":1,"title":"Bill"}]"#),
            (
                r#"[{"n":1,"owner":"ann","a":"x","b":"y"}]"#,
                r#"[{"n":1,"owner":"bob","a":"x","b":"y"}]"#,
            ),
            (r#"{"createdBy":"u-1","a":"x"}"#, r#"{"createdBy":"u-2","a":"x"}"#),
            (
                "<li>Contract 17</li><li>Contract 18</li>",
                "<li>Contract 21</li><li>Contract 22</li>",
            ),
            ("<li>a</li>", "<li>a</li><li>b</li>"),
        ] {
            assert_eq!(of(mine, his), Shown::Other, "{mine}");
        }
    }

    #[test]
    fn what_holds_nothing_shows_nothing_and_what_is_nearly_the_same_is_only_alike() {
        for empty in [
            "[]",
            "{}",
            r#"{"status":"ok","documents":[],"total":0}"#,
            " ",
            r#"{"documents":[],"hint":"write your first one"}"#,
        ] {
            assert_eq!(of(empty, empty), Shown::Nothing, "{empty}");
        }
        let fields: Vec<String> = (0..12).map(|n| format!("\"f{n}\":\"v{n}\"")).collect();
        let record = |note: &str| format!("{{\"id\":7,{},\"note\":\"{note}\"}}", fields.join(","));
        assert_eq!(of(&record("a"), &record("b")), Shown::Alike);
        let page = |who: &str| {
            format!(
                "<p>Hello {who}</p><h1>Invoice 4711</h1><p>of the year, all of it, paid in full</p>"
            )
        };
        assert_eq!(of(&page("ann"), &page("bob")), Shown::Alike);
        let none = "<h1>Documents</h1><p>There are none yet</p>";
        assert_eq!(of(none, none), Shown::Alike);
    }

    #[test]
    fn settings_may_be_the_same_for_everybody_and_what_somebody_wrote_is_not() {
        for settings in [
            r#"{"theme":"dark","language":"en"}"#,
            r#"{"font_size":14,"theme":"dark"}"#,
            r#"{"avatar":"https://cdn.example.com/avatars/default.png"}"#,
            r#"{"email_frequency":"weekly","account_type":"free"}"#,
            r#"[{"key":"theme","value":"dark"},{"key":"language","value":"en"}]"#,
            "<h1>Settings</h1><p>Font of 14 points</p>",
        ] {
            assert_eq!(of(settings, settings), Shown::Alike, "{settings}");
        }
        for own in [
            r#"{"invoice":4711}"#,
            r#"{"note":"Call the landlord about the roof"}"#,
            r#"{"billing_email":"ann"}"#,
            r#"{"lastEditedBy":"ann"}"#,
        ] {
            assert_eq!(of(own, own), Shown::Same, "{own}");
        }
    }

    #[test]
    fn what_changes_from_answer_to_answer_is_not_compared() {
        let at =
            |time: u32| answer(200, &[], &format!(r#"{{"id":7,"text":"plan","served":{time}}}"#));
        assert_eq!(shown(&[at(1), at(2)], &[at(3), at(4)]), Shown::Same);
    }
}
