//! The steps from the restore to the verdict.

use super::batches;
use super::course::Course;
use super::selftest;
use super::steps::{blocking, words};
use crate::backup::dataset::document_id;
use crate::backup::ledger::{Ledger, compare};
use crate::backup::stores::DrillError;
use crate::run::event::{BackupLevel, Difference, RecordComparison};

impl Course<'_> {
    pub(super) async fn restore(&mut self) -> Result<String, DrillError> {
        let store = self.store()?;
        self.check_same_server(&*store).await?;
        let archive = self.archive.clone();
        let archive = archive.ok_or_else(|| DrillError::Wrong("there is no backup".into()))?;
        store.prepare().await?;
        let mut records = archive.records().peekable();
        let mut count = 0;
        loop {
            let portion = batches::next(&mut records)?;
            if portion.is_empty() {
                self.report.level = Some(BackupLevel::L4);
                return Ok(format!("{count} records from the backup's files alone"));
            }
            self.gate.check()?;
            store.write(&portion).await?;
            let size = portion.iter().map(|record| record.size() as u64).sum();
            self.reporter.add(portion.len() as u64, size);
            count += portion.len() as u64;
        }
    }

    pub(super) async fn verify_integrity(&mut self) -> Result<String, DrillError> {
        let restored = self.look("restored").await?;
        let before = self.before.as_ref().map(|before| before.records.clone());
        let before = before.ok_or_else(|| DrillError::Wrong("nothing to compare with".into()))?;
        let (one, other) = (before.clone(), restored.records.clone());
        let difference = blocking(move || Ok(compare(one.entries()?, other.entries()?)?)).await?;
        let (data, canaries) = (restored.data()?, restored.canaries.len() as u64);
        let counted = self.restored_store()?.count().await?;
        self.report.comparison = Some(comparison(difference.clone(), &before, &restored.records));
        let smoke = self.restored_store()?.smoke(&document_id(1)).await;
        self.take_times(&restored.canaries);
        self.restored = Some(restored);
        self.test_verifier(before).await?;
        if !difference.is_none() {
            return Err(DrillError::Wrong(words(&difference)));
        }
        if counted != data + canaries {
            let read = data + canaries;
            let reason =
                format!("{read} different records were read, and the server counts {counted}");
            return Err(DrillError::Wrong(reason));
        }
        self.report.level = Some(BackupLevel::L5);
        let smoke = smoke?;
        self.report.level = Some(BackupLevel::L6);
        Ok(format!("every record is what it was; {smoke}"))
    }

    /// RPO and RTO end here: what follows tests the verifier, not the store.
    fn take_times(&mut self, canaries: &std::collections::BTreeSet<u64>) {
        let Some(disaster) = self.disaster else { return };
        let micros = |time: std::time::Duration| time.as_micros() as u64;
        let lost = self.written.lost_before(canaries, disaster);
        if lost.is_none() {
            let note = "not even the first canary came back: the RPO is unknown";
            self.report.notes.push(note.into());
        }
        let times = &mut self.report.times;
        times.canaries_recovered = canaries.len() as u64;
        times.rpo_us = lost.map(micros);
        let rto = micros(disaster.elapsed());
        let before = times.detect_us.unwrap_or(0) + times.restore_us.unwrap_or(0);
        times.verify_us = Some(rto.saturating_sub(before));
        times.rto_us = Some(rto);
    }

    async fn test_verifier(&mut self, before: Ledger) -> Result<(), DrillError> {
        let mut test = self.report.verifier;
        let archive = self.archive.clone();
        let written = self.records()?;
        let tested = blocking(move || {
            // Real records: those of the backup or, where it is not ours, those that were written.
            match archive {
                Some(archive) => {
                    let records = archive.records().map(|record| Ok(record?));
                    selftest::catches_differences(&before, records, &mut test)?;
                }
                None => selftest::catches_differences(&before, written, &mut test)?,
            }
            Ok(test)
        });
        self.report.verifier = tested.await?;
        Ok(())
    }

    pub(super) fn data_loss(&self) -> Result<String, DrillError> {
        let comparison = self.report.comparison.as_ref();
        let comparison =
            comparison.ok_or_else(|| DrillError::Wrong("nothing was compared".into()))?;
        let difference = &comparison.difference;
        let Difference { expected, missing_count, changed_count, extra_count, .. } = difference;
        if difference.is_none() {
            return Ok(format!("0 of {expected} records lost"));
        }
        Err(DrillError::Wrong(format!(
            "{} of {expected} records lost: {missing_count} missing, {changed_count} changed; \
             {extra_count} more than there were",
            difference.lost()
        )))
    }
}

fn comparison(difference: Difference, before: &Ledger, after: &Ledger) -> RecordComparison {
    let clean = |names: Vec<String>| -> Vec<String> {
        names.iter().map(|name| crate::platform::text::excerpt(name)).collect()
    };
    RecordComparison {
        difference: Difference {
            missing: clean(difference.missing),
            extra: clean(difference.extra),
            changed: clean(difference.changed),
            ..difference
        },
        digest_before: before.digest().to_owned(),
        digest_after: after.digest().to_owned(),
    }
}
