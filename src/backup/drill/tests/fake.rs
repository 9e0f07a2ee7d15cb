//! A store in memory that can be made to do what real ones do on their bad days.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::backup::record::{Record, Value};
use crate::backup::stores::{
    DrillError, DrillStore, Identity, Namespace, Native, RecordSink, Room, is_definition,
};
use crate::backup::subject::{OpenStore, Undo};
use crate::config::StoreKind;
use crate::platform::store::StoreError;
use crate::run::event::BackupFile;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Every operation of this name fails, from its nth call on (from 1).
    Fails(&'static str, u32),
    /// The same, but once.
    FailsOnce(&'static str, u32),
    /// From the nth operation of any kind on nothing is answered any more.
    Hangs(u32),
    /// The nth record that is restored is dropped.
    Drops(usize),
    /// ... is altered.
    Alters(usize),
    /// ... is there a second time, under another name.
    Duplicates(usize),
    /// ... is there a second time, in every respect the same.
    Doubles(usize),
    /// ... ends a millisecond later than it should.
    ExpiresLate,
    /// A record that is injected is not there, although it was acknowledged.
    Forgets(usize),
    /// Destruction is acknowledged, and nothing is destroyed.
    Keeps,
    /// Somebody else writes into our place before it is destroyed.
    Intrudes,
    /// It is another server when asked again.
    Moves,
    /// Somebody else's place bears our name.
    Foreign,
    /// Something that is not ours goes away meanwhile.
    Harms,
    /// It has so little room.
    Narrow,
    /// Its own form of a backup lacks a record.
    NativeLoses,
    /// This user may not back up in the store's own form.
    NativeRefused,
}

#[derive(Default)]
struct State {
    marker: Option<String>,
    records: Vec<Record>,
    bystanders: u64,
    prepared: u32,
    written: usize,
    calls: Vec<&'static str>,
}

/// The server; every connection sees the same.
#[derive(Clone)]
pub struct Fake {
    pub kind: StoreKind,
    pub names: Namespace,
    fault: Option<Fault>,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub fn new(kind: StoreKind, names: &Namespace, fault: Option<Fault>) -> Self {
        let state = State { bystanders: 17, ..State::default() };
        Self { kind, names: names.clone(), fault, state: Arc::new(Mutex::new(state)) }
    }

    /// The same server on a good day.
    pub fn healed(&self) -> Self {
        Self { fault: None, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub fn is_clean(&self) -> bool {
        let state = self.lock();
        let ours = state.marker.as_ref().is_some_and(|m| m.starts_with("shakedown drill"));
        !ours && state.records.is_empty()
    }

    pub fn bystanders_left(&self) -> u64 {
        self.lock().bystanders
    }

    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// Notes a call, and fails or hangs where it has to.
    async fn call(&self, name: &'static str) -> Result<(), DrillError> {
        let (all, of_name) = {
            let mut state = self.lock();
            state.calls.push(name);
            let of_name = state.calls.iter().filter(|call| **call == name).count() as u32;
            (state.calls.len() as u32, of_name)
        };
        // As over a real network, nothing is answered at once.
        tokio::task::yield_now().await;
        match self.fault {
            Some(Fault::Fails(of, nth)) if of == name && of_name >= nth => Err(failed(name)),
            Some(Fault::FailsOnce(of, nth)) if of == name && of_name == nth => Err(failed(name)),
            Some(Fault::Hangs(nth)) if all >= nth => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn keep(&self, record: &Record) {
        let mut state = self.lock();
        state.written += usize::from(!record.key.contains("canary"));
        let (written, restored) = (state.written, state.prepared > 1);
        let hit = |nth: usize| restored && written == nth;
        let mut record = record.clone();
        match self.fault {
            Some(Fault::Forgets(nth)) if !restored && written == nth => return,
            Some(Fault::Drops(nth)) if hit(nth) => return,
            Some(Fault::Alters(nth)) if hit(nth) => record.value = Value::text("altered"),
            Some(Fault::Duplicates(nth)) if hit(nth) => {
                let mut other = record.clone();
                other.key += " once more";
                state.records.push(other);
            }
            Some(Fault::Doubles(nth)) if hit(nth) => state.records.push(record.clone()),
            Some(Fault::ExpiresLate) if restored => {
                if let Value::Map(fields) = &mut record.value
                    && let Some(Value::Int(at)) = fields.get_mut("expires")
                {
                    *at += 1;
                }
            }
            _ => {}
        }
        state.records.push(record);
    }
}

fn failed(name: &str) -> DrillError {
    DrillError::Store(StoreError::new(name, "connection reset by peer"))
}

#[async_trait]
impl OpenStore for Fake {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    async fn open(&self) -> Result<Arc<dyn DrillStore>, DrillError> {
        self.call("open").await?;
        Ok(Arc::new(self.clone()))
    }

    fn undo(&self) -> Undo {
        Undo::Folder { path: PathBuf::from("/nowhere") }
    }
}

#[async_trait]
impl DrillStore for Fake {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        self.call("identify").await?;
        let asked = self.calls().iter().filter(|call| **call == "identify").count();
        let moved = self.fault == Some(Fault::Moves) && asked > 1;
        let id = if moved { "another" } else { "this" }.to_owned();
        Ok(Identity { server: "Fake 1.0".into(), id, not_covered: vec![] })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        self.call("room").await?;
        let free = if self.fault == Some(Fault::Narrow) { 1000 } else { u64::MAX };
        Ok(Room { free_bytes: Some(free) })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        self.call("bystanders").await?;
        Ok(vec![("keys".into(), self.lock().bystanders)])
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        self.call("prepare").await?;
        let mut state = self.lock();
        if self.fault == Some(Fault::Foreign) {
            state.marker = Some("somebody else".into());
        }
        if state.marker.is_some() {
            return Err(DrillError::Refused("it is there already".into()));
        }
        state.marker = Some(self.names.marker());
        (state.prepared, state.written) = (state.prepared + 1, 0);
        Ok(())
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        self.call("marker").await?;
        Ok(self.lock().marker.clone())
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        self.call("write").await?;
        records.iter().for_each(|record| self.keep(record));
        Ok(())
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        self.call("read").await?;
        let records = self.lock().records.clone();
        records.into_iter().try_for_each(|record| sink.take(record))
    }

    async fn native(
        &self,
        _folder: &Path,
        sink: &mut dyn RecordSink,
    ) -> Result<Option<Native>, DrillError> {
        self.call("native").await?;
        if self.fault == Some(Fault::NativeRefused) {
            return Err(DrillError::Refused("HTTP 403".into()));
        }
        let records = self.lock().records.clone();
        let lost = usize::from(self.fault == Some(Fault::NativeLoses));
        records.into_iter().skip(lost).try_for_each(|record| sink.take(record))?;
        let file = BackupFile { name: "own".into(), bytes: 1, sha256: String::new() };
        Ok(Some(Native { words: "in its own form".into(), files: vec![file] }))
    }

    async fn count(&self) -> Result<u64, DrillError> {
        self.call("count").await?;
        let mut state = self.lock();
        let counted = state.calls.iter().filter(|call| **call == "count").count();
        if self.fault == Some(Fault::Intrudes) && counted == 2 {
            state.records.extend((0..9).map(|n| Record::new("x", format!("{n}"), Value::Null)));
        }
        Ok(state.records.iter().filter(|record| !is_definition(&record.kind)).count() as u64)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        self.call("destroy").await?;
        let mut state = self.lock();
        let first = state.calls.iter().filter(|call| **call == "destroy").count() == 1;
        if self.fault == Some(Fault::Keeps) && first {
            return Ok(());
        }
        match &state.marker {
            Some(marker) if *marker != self.names.marker() => {
                return Err(DrillError::Refused("marked by another drill".into()));
            }
            None if !state.records.is_empty() => {
                return Err(DrillError::Refused("without this drill's marker".into()));
            }
            _ => {}
        }
        if self.fault == Some(Fault::Harms) {
            state.bystanders -= 1;
        }
        (state.records, state.marker) = (Vec::new(), None);
        Ok(())
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        self.call("residue").await?;
        let state = self.lock();
        let left = state.records.len() + usize::from(state.marker.is_some());
        Ok((left > 0).then(|| format!("{left} records")).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        self.call("smoke").await?;
        Ok(format!("{document} found"))
    }
}
