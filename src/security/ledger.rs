//! What the audit writes into the platform: on record before it is done, removed afterwards, and looked
//! for once more; and what it replaces there, which is put back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Answer;
use super::discovery::sent_on;
use super::prober::Prober;
use super::request::{Request, decode};
use crate::platform::text::excerpt;
use crate::run::event::{EventBody, SecurityEvent, Written};
use crate::run::recorder::EventSink;

/// What the audit wrote.
pub struct Ledger {
    events: EventSink,
    entries: Mutex<Vec<Entry>>,
}

#[derive(Clone)]
struct Entry {
    name: String,
    way: Way,
    /// Whether the platform said that it has it.
    stored: bool,
}

/// What undoes an entry.
#[derive(Clone)]
pub enum Way {
    /// The platform has not said where it is; it may be there, spelled in any of these ways.
    Guess(Vec<Undo>),
    /// Its removal.
    Removal(Undo),
    /// This request, which takes the place of others.
    PutBack(Request),
}

/// How something is removed, and how its absence is shown: a lookup that is answered with 404 or 410, or
/// that found something before and is answered afterwards as if for a name that never was.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    /// Each of them may remove it; they are sent in turn until it is gone.
    pub removals: Vec<Request>,
    /// Looks for it.
    pub lookup: Request,
}

impl Ledger {
    /// An empty one.
    pub const fn new(events: EventSink) -> Self {
        Self { events, entries: Mutex::new(Vec::new()) }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, event: SecurityEvent) {
        self.events.emit(EventBody::Security(event));
    }

    /// Puts something on record. When this returns it is on disk and may be written.
    pub fn announce(&self, written: Written, way: Way) {
        self.entries().push(Entry { name: written.name.clone(), way, stored: false });
        self.emit(SecurityEvent::Writing(written));
    }

    /// Puts on record that something may take the place of what a request says. When this returns it is on
    /// disk. What could not be put back before is there once, whichever check attacks it next.
    pub fn replacing(&self, written: Written, back: Request) {
        let name = written.name.clone();
        let mut entries = self.entries();
        entries.retain(|other| other.name != name);
        entries.push(Entry { name, way: Way::PutBack(back), stored: false });
        drop(entries);
        self.emit(SecurityEvent::Replacing(written));
    }

    /// The platform said where something is.
    pub fn stored(&self, name: &str, at: &str, undo: Undo) {
        self.emit(SecurityEvent::Stored { name: name.to_owned(), at: at.to_owned() });
        if let Some(entry) = self.entries().iter_mut().find(|entry| entry.name == name) {
            entry.way = Way::Removal(undo);
            entry.stored = true;
        }
    }

    /// How it is found there.
    pub fn found(&self, name: &str, undo: Undo) {
        if let Some(entry) = self.entries().iter_mut().find(|entry| entry.name == name) {
            entry.way = Way::Removal(undo);
        }
    }

    /// Something was found in another place than the platform said: there it is on record by itself.
    pub fn moved(&self, name: &str) {
        if let Some(entry) = self.entries().iter_mut().find(|entry| entry.name == name) {
            entry.stored = false;
        }
    }

    /// The platform refused it: there is nothing to remove.
    pub fn refused(&self, name: &str) {
        self.entries().retain(|entry| entry.name != name);
        self.emit(SecurityEvent::Removed {
            name: name.to_owned(),
            gone: true,
            detail: "it was refused".into(),
        });
    }

    /// How many things are still on record.
    pub fn left(&self) -> usize {
        self.entries().len()
    }

    /// Removes what is on record by one name.
    pub async fn remove(&self, prober: &Prober, name: &str) {
        let entry = self.entries().iter().find(|entry| entry.name == name).cloned();
        if let Some(entry) = entry {
            self.remove_entry(prober, &entry).await;
        }
    }

    /// Removes everything that is still on record.
    pub async fn remove_all(&self, prober: &Prober) {
        let entries = self.entries().clone();
        for entry in &entries {
            self.remove_entry(prober, entry).await;
        }
    }

    async fn remove_entry(&self, prober: &Prober, entry: &Entry) {
        let outcome = match &entry.way {
            Way::Removal(undo) => {
                remove_as(prober, undo, entry.stored).await.map(|()| String::new())
            }
            Way::PutBack(request) => put_back(prober, request).await,
            Way::Guess(undos) => {
                remove_if_there(prober, undos, &entry.name).await.map(|()| String::new())
            }
        };
        let gone = outcome.is_ok();
        if gone {
            self.entries().retain(|other| other.name != entry.name);
        }
        let (name, detail) = (entry.name.clone(), outcome.unwrap_or_else(|why| why));
        self.emit(SecurityEvent::Removed { name, gone, detail });
    }
}

/// Sends a request as it is configured; says how that was answered. What refuses it has not let others take
/// its place, as far as can be told.
///
/// # Errors
/// When nobody dealt with it.
pub async fn put_back(prober: &Prober, request: &Request) -> Result<String, String> {
    let answer = prober.ask_for_removal(request).await;
    let answer = answer.map_err(|error| excerpt(&error.to_string()))?;
    let answer = sending_on(prober, request, answer);
    let words = excerpt(&format!(
        "{} as it is configured is answered with {}",
        request.place(),
        answer.words()
    ));
    if is_kept_out(&answer) || answer.status >= 500 { Err(words) } else { Ok(words) }
}

/// An answer with the page that it sends on to, which is not asked for.
pub fn sending_on(prober: &Prober, request: &Request, mut answer: Answer) -> Answer {
    let page = sent_on(prober, request, &answer);
    answer.landed = page.map(|page| Box::new(Request::get(request.service, &page)));
    answer
}

/// Whether a request was refused for who asks, how often, or how it looks, so that it changed nothing.
pub fn is_kept_out(answer: &Answer) -> bool {
    answer.status == 401 || answer.is_refusal() || answer.is_login()
}

/// Removes something and shows that it is gone. Doing it again changes nothing.
///
/// # Errors
/// Why it is not shown to be gone.
pub async fn remove(prober: &Prober, undo: &Undo) -> Result<(), String> {
    remove_as(prober, undo, false).await
}

/// Removes what may be in one of these places: only what carries the name there is it.
///
/// # Errors
/// Why it is not shown to be gone; where it is in none of them, what is to be done by hand.
pub async fn remove_if_there(prober: &Prober, undos: &[Undo], name: &str) -> Result<(), String> {
    for undo in undos {
        let there = prober.ask_for_removal(&undo.lookup).await;
        let there = there.map_err(|error| excerpt(&error.to_string()))?;
        if there.is_success() && there.body.contains(name) {
            return remove(prober, undo).await;
        }
    }
    Err(format!(
        "the platform did not say where it put it, and it is not where it may be expected: look among \
         what it keeps for {name}, and remove that by hand"
    ))
}

/// Removes something that may have to be asked for in several ways, and shows that it is gone. A way that
/// is answered with 400, whatever it names, is none that the platform knows: nothing lies there. Doing it
/// again changes nothing.
///
/// # Errors
/// Why it is not shown to be gone.
pub async fn remove_each_way(prober: &Prober, ways: &[Undo]) -> Result<(), String> {
    let (mut gone, mut left, mut no_way) = (false, None, None);
    for way in ways {
        match remove(prober, way).await {
            Ok(()) => gone = true,
            Err(reason) if is_no_way(prober, &way.lookup).await => no_way = Some(reason),
            Err(reason) => left = Some(reason),
        }
    }
    // Where the platform knows none of the ways, nothing is shown.
    left.or(no_way.filter(|_| !gone)).map_or(Ok(()), Err)
}

/// Whether looking for something so is refused as malformed, and not for what is looked for.
async fn is_no_way(prober: &Prober, lookup: &Request) -> bool {
    match prober.ask_for_removal(lookup).await {
        Ok(looked) => looked.status == 400 && is_answer_to_nothing(prober, lookup, &looked).await,
        Err(_) => false,
    }
}

/// The same; what the platform said it has and what is not found beforehand is not shown to be gone by
/// not being found afterwards.
async fn remove_as(prober: &Prober, undo: &Undo, stored: bool) -> Result<(), String> {
    let before = prober.ask_for_removal(&undo.lookup).await.ok();
    let seen = before.as_ref().is_some_and(|before| !matches!(before.status, 404 | 410));
    let mut why = "nothing removes it".to_owned();
    for removal in &undo.removals {
        match remove_by(prober, removal, &undo.lookup, before.as_ref()).await {
            Ok(()) if stored && !seen => {
                why = format!("it was taken, and was not found at {}", undo.lookup.path);
            }
            Ok(()) => return Ok(()),
            Err(reason) => why = reason,
        }
    }
    Err(excerpt(&why))
}

async fn remove_by(
    prober: &Prober,
    removal: &Request,
    lookup: &Request,
    before: Option<&Answer>,
) -> Result<(), String> {
    let removed = prober.ask_for_removal(removal).await;
    let removed = removed.map_err(|error| excerpt(&error.to_string()))?;
    let looked = prober.ask_for_removal(lookup).await;
    let looked = looked.map_err(|error| excerpt(&error.to_string()))?;
    if matches!(looked.status, 404 | 410) {
        return Ok(());
    }
    // Where there is a page for everything, the lookup has to have told the difference.
    let told = before.is_some_and(|before| before.body != looked.body);
    if told && is_answer_to_nothing(prober, lookup, &looked).await {
        return Ok(());
    }
    Err(format!(
        "its removal was answered with {}, and looking for it with {} rather than 404",
        removed.status, looked.status
    ))
}

/// Whether a name that never was gets the very same answer, but for the name.
async fn is_answer_to_nothing(prober: &Prober, lookup: &Request, looked: &Answer) -> bool {
    // A slash in a name may be encoded, and has to be so in the other one.
    let ends = ["/", "%2F"].map(|slash| lookup.path.rfind(slash).map(|at| at + slash.len()));
    let Some(at) = ends.into_iter().flatten().max() else { return false };
    let (folder, name) = lookup.path.split_at(at);
    let never = format!("{:016x}", rand::random::<u64>());
    let mut other = lookup.clone();
    other.path = format!("{folder}{never}");
    let answer = prober.ask_for_removal(&other).await;
    let name = decode(name);
    answer.is_ok_and(|answer| {
        answer.status == looked.status && answer.without(&never) == looked.without(&name)
    })
}
