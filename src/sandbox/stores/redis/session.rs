//! One connection: who it is, which database it works on, and its transaction.

use std::sync::Arc;

use super::command::{Answer, Command, all, find, int, is, upper, word};
use super::db::{Bytes, Db, Refusal};
use super::resp::{Reply, Version};
use super::server::{DATABASES, Server};

/// Most commands of one transaction.
const MAX_QUEUED: usize = 100_000;

/// What is known of a connection.
pub struct Session {
    server: Arc<Server>,
    id: i64,
    name: Bytes,
    admitted: bool,
    database: usize,
    /// Version in which it is answered.
    pub version: Version,
    /// Whether it is to be closed after the answer.
    pub ended: bool,
    transaction: Option<Transaction>,
    watched: Vec<(usize, Bytes, u64)>,
}

#[derive(Default)]
struct Transaction {
    commands: Vec<(&'static Command, Vec<Bytes>)>,
    spoiled: bool,
}

impl Session {
    /// A new connection.
    pub fn new(server: Arc<Server>) -> Self {
        let id = server.next_client();
        Self {
            server,
            id,
            name: Vec::new(),
            admitted: false,
            database: 0,
            version: Version::Two,
            ended: false,
            transaction: None,
            watched: Vec::new(),
        }
    }

    /// Carries out one request.
    pub fn answer(&mut self, request: &[Bytes]) -> Option<Reply> {
        let (name, words) = request.split_first()?;
        self.server.count_command();
        let answer = self.carry_out(name, words).unwrap_or_else(|refusal| {
            if let Some(transaction) = &mut self.transaction {
                transaction.spoiled = true;
            }
            Reply::Error(refusal.0)
        });
        Some(answer)
    }

    fn carry_out(&mut self, name: &[u8], words: &[Bytes]) -> Answer {
        let called = upper(name);
        let before_login = matches!(called.as_str(), "AUTH" | "HELLO" | "QUIT" | "RESET");
        if !self.admitted && !before_login {
            return Err(Refusal("NOAUTH Authentication required.".into()));
        }
        if let Some(answer) = self.of_session(&called, words) {
            return answer;
        }
        let command = find(name).ok_or_else(|| unknown(name))?;
        if !command.admits(words.len() + 1) {
            return Err(wrong_number(&called));
        }
        if let Some(transaction) = &mut self.transaction {
            if transaction.commands.len() >= MAX_QUEUED {
                return Err(Refusal::new("too many commands in one transaction"));
            }
            transaction.commands.push((command, words.to_vec()));
            return Ok(Reply::Status("QUEUED"));
        }
        self.run(&[(command, words.to_vec())]).pop().unwrap_or(Ok(Reply::Null))
    }

    /// Carries out commands at one instant, nobody between them.
    fn run(&self, commands: &[(&'static Command, Vec<Bytes>)]) -> Vec<Answer> {
        let mut databases = self.server.lock();
        let db = &mut databases[self.database];
        let one = |(command, words): &(&'static Command, Vec<Bytes>)| {
            if command.writes {
                self.server.admit_write(words)?;
            }
            (command.run)(db, words)
        };
        commands.iter().map(one).collect()
    }

    /// What concerns the connection or the server and no key; none for any other command.
    fn of_session(&mut self, called: &str, words: &[Bytes]) -> Option<Answer> {
        let arity_holds = match called {
            "AUTH" => matches!(words.len(), 1 | 2),
            "SELECT" | "ECHO" => words.len() == 1,
            "MULTI" | "EXEC" | "DISCARD" | "UNWATCH" | "TIME" | "LASTSAVE" => words.is_empty(),
            "WATCH" | "CLIENT" | "CONFIG" | "ACL" => !words.is_empty(),
            _ => true,
        };
        if !arity_holds {
            return Some(Err(wrong_number(called)));
        }
        Some(match called {
            "AUTH" => self.log_in(words).map(|()| Reply::OK),
            "HELLO" => self.hello(words),
            "QUIT" => {
                self.ended = true;
                Ok(Reply::OK)
            }
            "RESET" => {
                *self = Self { id: self.id, ..Self::new(self.server.clone()) };
                Ok(Reply::Status("RESET"))
            }
            "PING" => {
                Ok(words.first().map_or(Reply::Status("PONG"), |word| Reply::Bulk(word.clone())))
            }
            "ECHO" => Ok(Reply::Bulk(words[0].clone())),
            "SELECT" => self.select(&words[0]),
            "MULTI" if self.transaction.is_some() => {
                Err(Refusal::new("MULTI calls can not be nested"))
            }
            "MULTI" => {
                self.transaction = Some(Transaction::default());
                Ok(Reply::OK)
            }
            "EXEC" => self.exec(),
            "DISCARD" => {
                self.watched.clear();
                let open = self.transaction.take();
                open.map(|_| Reply::OK).ok_or_else(|| Refusal::new("DISCARD without MULTI"))
            }
            "WATCH" => self.watch(words),
            "UNWATCH" => {
                self.watched.clear();
                Ok(Reply::OK)
            }
            "CLIENT" => self.client(words),
            "COMMAND" => command(words),
            "INFO" => Ok(Reply::text(self.server.info(words))),
            "CONFIG" => config(words),
            "ACL" if is(&words[0], "WHOAMI") => Ok(Reply::text("default")),
            "TIME" => Ok(time(self.server.now())),
            "LASTSAVE" => Ok(Reply::Int(0)),
            "MODULE" => Ok(Reply::Array(vec![])),
            "ROLE" => {
                Ok(Reply::Array(vec![Reply::text("master"), Reply::Int(0), Reply::Array(vec![])]))
            }
            _ => return None,
        })
    }

    fn log_in(&mut self, words: &[Bytes]) -> Result<(), Refusal> {
        let user_fits = words.len() < 2 || words[0] == b"default";
        if user_fits && words.last().is_some_and(|password| self.server.is_password(password)) {
            self.admitted = true;
            return Ok(());
        }
        Err(Refusal("WRONGPASS invalid username-password pair or user is disabled.".into()))
    }

    fn hello(&mut self, words: &[Bytes]) -> Answer {
        let version = match words.first().map(Vec::as_slice) {
            None => self.version,
            Some(b"2") => Version::Two,
            Some(b"3") => Version::Three,
            Some(_) => return Err(Refusal("NOPROTO unsupported protocol version".into())),
        };
        let mut at = 1;
        while at < words.len() {
            match upper(&words[at]).as_str() {
                "AUTH" => {
                    word(words, at + 2)?;
                    self.log_in(&words[at + 1..at + 3])?;
                    at += 3;
                }
                "SETNAME" => {
                    self.name.clone_from(word(words, at + 1)?);
                    at += 2;
                }
                _ => return Err(Refusal::syntax()),
            }
        }
        if !self.admitted {
            let reason = "NOAUTH HELLO must be called with the client already authenticated";
            return Err(Refusal(reason.into()));
        }
        self.version = version;
        Ok(Reply::named([
            ("server", Reply::text("redis")),
            ("version", Reply::text(super::server::VERSION)),
            ("proto", Reply::Int(if version == Version::Three { 3 } else { 2 })),
            ("id", Reply::Int(self.id)),
            ("mode", Reply::text("standalone")),
            ("role", Reply::text("master")),
            ("modules", Reply::Array(vec![])),
        ]))
    }

    fn select(&mut self, word: &[u8]) -> Answer {
        let number = usize::try_from(int(word)?).ok().filter(|number| *number < DATABASES);
        self.database = number.ok_or_else(|| Refusal::new("DB index is out of range"))?;
        Ok(Reply::OK)
    }

    fn watch(&mut self, keys: &[Bytes]) -> Answer {
        if self.transaction.is_some() {
            return Err(Refusal::new("WATCH inside MULTI is not allowed"));
        }
        let mut databases = self.server.lock();
        for key in keys {
            let revision = databases[self.database].revision(key);
            self.watched.push((self.database, key.clone(), revision));
        }
        Ok(Reply::OK)
    }

    fn exec(&mut self) -> Answer {
        let open = self.transaction.take().ok_or_else(|| Refusal::new("EXEC without MULTI"))?;
        let watched = std::mem::take(&mut self.watched);
        if open.spoiled {
            let reason = "EXECABORT Transaction discarded because of previous errors.";
            return Err(Refusal(reason.into()));
        }
        let mut databases = self.server.lock();
        let unchanged = |(database, key, before): &(usize, Bytes, u64)| {
            let db: &mut Db = &mut databases[*database];
            db.revision(key) == *before
        };
        let undisturbed = watched.iter().all(unchanged);
        drop(databases);
        if !undisturbed {
            return Ok(Reply::NullArray);
        }
        let answers = self.run(&open.commands).into_iter();
        let answers =
            answers.map(|answer| answer.unwrap_or_else(|refusal| Reply::Error(refusal.0)));
        Ok(Reply::Array(answers.collect()))
    }

    fn client(&mut self, words: &[Bytes]) -> Answer {
        match upper(&words[0]).as_str() {
            "SETNAME" => {
                self.name.clone_from(word(words, 1)?);
                Ok(Reply::OK)
            }
            "GETNAME" => Ok(Reply::Bulk(self.name.clone())),
            "ID" => Ok(Reply::Int(self.id)),
            "SETINFO" => Ok(Reply::OK),
            "INFO" => Ok(Reply::text(format!("id={} db={}\n", self.id, self.database))),
            "NO-EVICT" | "NO-TOUCH" => Ok(Reply::OK),
            _ => Err(Refusal::new("unknown subcommand of CLIENT")),
        }
    }
}

fn unknown(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned();
    Refusal::new(format!("unknown command '{name}', it is not one of the sandbox's store"))
}

fn wrong_number(name: &str) -> Refusal {
    let name = name.to_ascii_lowercase();
    Refusal::new(format!("wrong number of arguments for '{name}' command"))
}

fn time(now_ms: i64) -> Reply {
    let (seconds, micros) = (now_ms / 1000, now_ms % 1000 * 1000);
    Reply::Array(vec![Reply::text(seconds.to_string()), Reply::text(micros.to_string())])
}

fn describe(command: &Command) -> Reply {
    let flag = if command.writes { "write" } else { "readonly" };
    let first = i64::from(command.last_key != 0);
    Reply::Array(vec![
        Reply::text(command.name.to_ascii_lowercase()),
        Reply::Int(i64::from(command.arity)),
        Reply::Set(vec![Reply::Status(flag)]),
        Reply::Int(first),
        Reply::Int(i64::from(command.last_key)),
        Reply::Int(first),
    ])
}

fn command(words: &[Bytes]) -> Answer {
    match words.first().map(|word| upper(word)).as_deref() {
        None => Ok(Reply::Array(all().map(describe).collect())),
        Some("COUNT") => Ok(Reply::count(all().count())),
        Some("LIST") => {
            Ok(Reply::Array(all().map(|c| Reply::text(c.name.to_ascii_lowercase())).collect()))
        }
        Some("INFO") => {
            let info = |name: &Bytes| find(name).map_or(Reply::NullArray, describe);
            Ok(Reply::Array(words[1..].iter().map(info).collect()))
        }
        Some("DOCS") => Ok(Reply::Map(vec![])),
        Some(_) => Err(Refusal::new("unknown subcommand of COMMAND")),
    }
}

/// `CONFIG GET` alone: nothing can be set.
fn config(words: &[Bytes]) -> Answer {
    if !is(&words[0], "GET") {
        return Err(Refusal::new("the sandbox's store has no such subcommand of CONFIG"));
    }
    let known = [
        ("databases", DATABASES.to_string()),
        ("maxmemory", crate::sandbox::stores::limits::MAX_BYTES.to_string()),
        ("maxmemory-policy", "noeviction".into()),
        ("appendonly", "no".into()),
        ("save", String::new()),
    ];
    let asked = |name: &str| {
        words[1..]
            .iter()
            .any(|p| super::command::matches_pattern(&p.to_ascii_lowercase(), name.as_bytes()))
    };
    let found = known.into_iter().filter(|(name, _)| asked(name));
    Ok(Reply::Map(found.map(|(name, value)| (Reply::text(name), Reply::text(value))).collect()))
}
