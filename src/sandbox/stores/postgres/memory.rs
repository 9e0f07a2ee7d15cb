//! What a client set and prepared. It is done again when the client has its turn after another one.

use std::collections::BTreeMap;

use super::wire::{Message, message, query};

/// Things that are remembered of one client, each kind by itself; the oldest settings go first.
const MAX_REMEMBERED: usize = 1024;

/// What is remembered of one client.
#[derive(Debug, Default)]
pub struct Memory {
    settings: Vec<String>,
    /// Names of statements, and the messages that prepared them.
    statements: BTreeMap<Vec<u8>, Message>,
}

impl Memory {
    /// Looks at a message on its way to the engine.
    pub fn note(&mut self, said: &Message) {
        match said.kind() {
            b'Q' => self.note_query(&String::from_utf8_lossy(said.text())),
            b'P' if !said.text().is_empty() && self.statements.len() < MAX_REMEMBERED => {
                self.statements.insert(said.text().to_vec(), said.clone());
            }
            b'C' => {
                if let Some((b'S', name)) = said.body().split_first() {
                    self.statements.remove(name.strip_suffix(b"\0").unwrap_or(name));
                }
            }
            _ => {}
        }
    }

    fn note_query(&mut self, sql: &str) {
        let upper = sql.to_ascii_uppercase();
        let mut statements =
            upper.split(';').map(str::trim).filter(|one| !one.is_empty()).peekable();
        if statements.peek().is_some_and(|first| first.starts_with("DISCARD ALL")) {
            *self = Self::default();
            return;
        }
        let lasts = |one: &str| {
            one.starts_with("RESET ")
                || one.strip_prefix("SET ").is_some_and(|rest| {
                    !rest.starts_with("LOCAL ") && !rest.starts_with("TRANSACTION ")
                })
        };
        if statements.peek().is_some() && statements.all(lasts) {
            self.settings.retain(|known| known != sql);
            if self.settings.len() == MAX_REMEMBERED {
                self.settings.remove(0);
            }
            self.settings.push(sql.to_owned());
        }
    }

    /// Messages that bring a session into this client's state, and how many answers they have.
    pub fn recall(&self) -> (Vec<u8>, usize) {
        let mut bytes = query("DISCARD ALL");
        for sql in &self.settings {
            bytes.extend(query(sql));
        }
        for prepared in self.statements.values() {
            // A sync after each: one that cannot be prepared any more is to leave the others alone.
            bytes.extend_from_slice(prepared.bytes());
            bytes.extend(message(b'S', b""));
        }
        (bytes, 1 + self.settings.len() + self.statements.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_last_are_done_again_and_others_are_not() {
        let mut memory = Memory::default();
        for sql in [
            "SET a=1; set b='2'",
            "SET LOCAL c=3",
            "SET TRANSACTION READ ONLY",
            "SELECT 1; SET d=4",
            "RESET b",
            "",
            "SET a=1; set b='2'",
        ] {
            memory.note_query(sql);
        }
        assert_eq!(memory.settings, ["RESET b", "SET a=1; set b='2'"]);
        assert_eq!(memory.recall().1, 3);
        memory.note_query("discard all;");
        assert_eq!(memory.recall(), (query("DISCARD ALL"), 1));
    }
}
