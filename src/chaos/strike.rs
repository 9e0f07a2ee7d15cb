//! One fault, from the undo on disk to the residue check.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::comeback::look;
use super::course::{Course, Interrupt, LOOK_EVERY};
use super::lease::Lease;
use super::plan::{least_uptime, missing_uptime, token};
use super::runtime::{Effect, Fault, Injection, Prepared, RuntimeError, Target};
use super::undo::Undo;
use crate::run::event::{ChaosEvent, Lives, MomentKind, MomentSource, Timeline};

/// How often the effect of a fault is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// A target that does not stay up gets so many times its least uptime to do so.
const UPTIME_TRIES: u32 = 5;
/// How long undoing may be tried.
const HEAL_TRIES: u32 = 3;
/// The kernel counts a kill for want of memory, and an engine tells it, within this after the end of
/// who was killed.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// A fault whose undo is on disk.
struct Blow<'a> {
    target: &'a Target,
    fault: &'a Fault,
    undo: &'a Undo,
    /// Number of the undo in its journal.
    id: u64,
}

/// What one fault did.
#[derive(Clone, Debug, Default)]
pub struct Struck {
    /// Whether it had its effect; none when it was not injected.
    pub effective: Option<bool>,
    /// What proves it.
    pub evidence: Option<String>,
    /// What was killed, and what came after it.
    pub lives: Option<Lives>,
    /// What should be known besides.
    pub notes: Vec<String>,
    /// Moments of the target.
    pub timeline: Timeline,
    /// Which service's which measure kept the target from being stable when it was looked at last.
    pub unstable: Option<String>,
    /// Time to recovery: from the kill, or from the healing, until stable.
    pub recovery: Option<Duration>,
    /// How long that may take.
    pub limit: Option<Duration>,
    /// From when to when the fault was there.
    pub lasted: Option<(Instant, Instant)>,
    /// When the target was stable again, or it was given up.
    pub over: Option<Instant>,
    /// What is left of it.
    pub residue: Vec<String>,
    /// Why it was not injected.
    pub refused: Option<String>,
    /// Whether the target was restarted during a fault that does not kill.
    pub restarted: bool,
    /// Whether somebody removed the target.
    pub removed: bool,
    /// Connections that the target began each second, before the fault and since.
    pub connections: Option<(f64, f64)>,
    /// What is still used up afterwards, in words.
    pub unsettled: Option<String>,
    /// What ended it before its time.
    pub interrupted: Option<Interrupt>,
}

impl Course<'_> {
    /// Injects one fault, watches it, heals it, and waits until the target is well again.
    pub(super) async fn strike(&mut self, target: &Target, fault: &Fault) -> Struck {
        let mut struck = Struck {
            timeline: Timeline { target: target.name.clone(), moments: Vec::new() },
            ..Struck::default()
        };
        let mut target = target.clone();
        match self.wait_for_uptime(&mut target, fault).await {
            Err(interrupt) => {
                struck.interrupted = Some(interrupt);
                return struck;
            }
            Ok(false) => {
                let why = if target.instance.gone { "was removed" } else { "does not stay up" };
                struck.refused = Some(format!("{} {why}", target.name));
                return struck;
            }
            Ok(true) => {}
        }
        self.faults += 1;
        let token = token(&self.context.run_id, self.faults);
        let runtime = self.runtime;
        let prepared = match self.heeding(runtime.prepare(&target, fault, &token)).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(RuntimeError(reason))) => {
                struck.refused = Some(reason);
                return struck;
            }
            Err(interrupt) => {
                struck.interrupted = Some(interrupt);
                return struck;
            }
        };
        struck.notes.extend(prepared.prediction.clone());
        let id = match self.undo.intend(&prepared.undo) {
            Ok(id) => id,
            Err(error) => {
                struck.refused = Some(format!("the undo cannot be put on disk: {error}"));
                return struck;
            }
        };
        self.broken = true;
        self.emit(ChaosEvent::Injecting {
            fault: fault.words(&target),
            undo: prepared.undo_words.clone(),
            expected: prepared.prediction.clone(),
            lasts_us: fault.length().as_micros() as u64,
        });
        let Prepared { undo, .. } = &prepared;
        self.inject(&Blow { target: &target, fault, undo, id }, &mut struck).await;
        struck
    }

    /// A container that has just been started would show its engine's restart delay. Says whether
    /// it has been up for long enough.
    async fn wait_for_uptime(
        &mut self,
        target: &mut Target,
        fault: &Fault,
    ) -> Result<bool, Interrupt> {
        let chaos = self.chaos();
        let wanted = least_uptime(&chaos, fault);
        let until = Instant::now() + wanted * UPTIME_TRIES;
        loop {
            let looked = look(self.runtime, target);
            if let Ok(now) = self.heeding(looked).await? {
                target.instance = now;
            }
            if target.instance.gone {
                return Ok(false);
            }
            let missing = missing_uptime(&chaos, target.instance.uptime, fault);
            let is_up = target.instance.pid.is_some() || wanted.is_zero();
            if is_up && missing.is_zero() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            self.wait(missing.max(LOOK_EVERY)).await?;
        }
    }

    async fn inject(&mut self, blow: &Blow<'_>, struck: &mut Struck) {
        let Blow { target, fault, .. } = *blow;
        self.in_trouble = false;
        let injection = match self.runtime.inject(target, fault, blow.undo).await {
            Ok(injection) => injection,
            Err(RuntimeError(reason)) => {
                struck.refused = Some(reason.clone());
                self.heal(blow, None, &reason, struck).await;
                // Between the choice and the deed somebody else may have removed it.
                if look(self.runtime, target).await.is_ok_and(|now| now.gone) {
                    struck.refused = Some(format!("{} was removed", target.name));
                }
                return;
            }
        };
        let (injected, baseline) = (injection.since, injection.baseline.clone());
        self.emit(ChaosEvent::Injected {});
        self.mark(target, struck, MomentKind::Injected, injected, MomentSource::Act);
        struck.interrupted = self.watch(blow, &injection, struck).await.err();
        let reason = match &struck.interrupted {
            Some(interrupt) => interrupt.words(),
            None if struck.removed => "its target was removed".into(),
            None if struck.restarted => "its target was restarted or stopped".into(),
            None if struck.recovery.is_some() => "it is back; nothing should be left".into(),
            None => "its time is over".into(),
        };
        self.heal(blow, Some(injection), &reason, struck).await;
        let healed = Instant::now();
        if !struck.removed
            && let Some((well, figures)) = self.runtime.settled(target, fault, &baseline).await
        {
            let words = format!("{}: {figures}", target.name);
            struck.unsettled = (!well).then(|| words.clone());
            struck.notes.push(words);
        }
        struck.lasted = Some((injected, healed));
        if *fault == Fault::Kill {
            struck.over = Some(healed);
            return;
        }
        if struck.residue.is_empty() {
            self.mark(target, struck, MomentKind::Healed, healed, MomentSource::Act);
        }
        let limit = self.chaos().steady.within.get();
        struck.limit = Some(limit);
        if struck.interrupted.is_none() && !struck.removed {
            let ended = self.until_stable(target, struck, healed, healed + limit).await;
            struck.interrupted = ended.err();
        }
        struck.over = Some(Instant::now());
    }

    /// Watches a fault until its time is over; a kill until the target is well again, or its time
    /// for that is over.
    async fn watch(
        &mut self,
        blow: &Blow<'_>,
        injection: &Injection,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        let Blow { target, fault, .. } = *blow;
        if *fault == Fault::Kill {
            return self.watch_kill(target, injection.since, struck).await;
        }
        let until = injection.since + fault.length();
        let mut measure_at = injection.since + MEASURE_EVERY;
        let witnesses = self.witnesses(target);
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            self.wait(LOOK_EVERY.min(left)).await?;
            self.detect(target, &witnesses, injection.since, struck);
            // The last measurement comes before the fault ends by itself.
            if Instant::now() >= measure_at && Instant::now() < until {
                measure_at += MEASURE_EVERY;
                self.measure(blow, injection, struck).await?;
                if let Some(now) = self.observe(target).await?
                    && !now.same_life(&target.instance)
                {
                    let now = self.became(target, now).await?;
                    (struck.restarted, struck.removed) = (!now.gone, now.gone);
                    let what = target.instance.change(&now).unwrap_or("was restarted");
                    struck.notes.push(format!("{} {what} during the fault", target.name));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn measure(
        &mut self,
        blow: &Blow<'_>,
        injection: &Injection,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        let runtime = self.runtime;
        let effect = runtime.effect(blow.target, blow.fault, blow.undo, injection);
        let effect = self.heeding(effect).await?;
        struck.connections = effect.connections.or(struck.connections);
        self.take_effect(effect, struck);
        Ok(())
    }

    /// Takes in what was measured of a fault: an effect that was there stays proven, and the last
    /// evidence of it is kept. What is new of it is told once, and its figures as they go on.
    pub(super) fn take_effect(&self, effect: Effect, struck: &mut Struck) {
        let Effect { effective, evidence, .. } = effect;
        if struck.effective == Some(true) && !effective {
            return;
        }
        let is_news = struck.effective != Some(effective);
        let is_other = struck.evidence.as_ref() != Some(&evidence);
        struck.effective = Some(effective);
        struck.evidence = Some(evidence.clone());
        match (is_news, is_other) {
            (true, _) => self.emit(ChaosEvent::Effect { effective, evidence }),
            (false, true) => self.emit(ChaosEvent::EffectNow { effective, evidence }),
            (false, false) => {}
        }
    }

    /// A kill for want of memory may come, and is counted, after the last measurement of a short fault:
    /// asks on when its helper has ended, unless the fault was ended before its time.
    async fn prove_late(&self, blow: &Blow<'_>, injection: &Injection, struck: &mut Struck) {
        let may_kill = matches!(blow.fault, Fault::Memory { allow_oom: true, .. });
        if !may_kill || struck.interrupted.is_some() || struck.removed {
            return;
        }
        let until = Instant::now() + COUNTED_WITHIN;
        while struck.effective != Some(true) && Instant::now() < until {
            let effect = self.runtime.effect(blow.target, blow.fault, blow.undo, injection);
            // Healing does not wait for a runtime that does not answer.
            let Ok(effect) = timeout_at(until, effect).await else { return };
            if effect.effective {
                return self.take_effect(effect, struck);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Undoes a fault and looks what is left of it. Only when nothing is, the undo journal is told.
    async fn heal(
        &mut self,
        blow: &Blow<'_>,
        injection: Option<Injection>,
        reason: &str,
        struck: &mut Struck,
    ) {
        let began = Instant::now();
        self.emit(ChaosEvent::Healing { reason: reason.to_owned() });
        if let Some(mut injection) = injection {
            if let Some(lease) = injection.lease.take() {
                self.end_lease(blow.target, lease, began, struck).await;
            }
            self.prove_late(blow, &injection, struck).await;
        }
        let mut residue = Vec::new();
        for attempt in 1..=HEAL_TRIES {
            let undone = blow.undo.undo().await;
            // An undo on this machine says nothing of the engine.
            if blow.undo.asks_an_engine() {
                self.heed_trouble(undone.as_ref().err().map(ToString::to_string));
            }
            residue = match undone {
                Ok(()) => blow.undo.residue().await,
                Err(error) => vec![error.to_string()],
            };
            if residue.is_empty() || attempt == HEAL_TRIES {
                break;
            }
            tokio::time::sleep(MEASURE_EVERY).await;
        }
        if residue.is_empty()
            && let Err(error) = self.undo.done(blow.id)
        {
            log::warn!("the undo journal cannot be written: {error}");
        }
        struck.residue.clone_from(&residue);
        let took_us = began.elapsed().as_micros() as u64;
        self.broken = false;
        self.emit(ChaosEvent::Healed { took_us, residue });
    }

    /// Ends the helper that holds a fault; what it says of fresh connections is a moment of the target.
    async fn end_lease(&self, target: &Target, lease: Lease, began: Instant, struck: &mut Struck) {
        match lease.end().await {
            Ok(None) => {}
            Ok(Some(took)) => {
                let kind = MomentKind::Reconnected;
                self.mark(target, struck, kind, began + took, MomentSource::Helper);
                let took = took.as_secs_f64();
                struck.notes.push(format!(
                    "{}: fresh connections got through {took:.1} s after the cut",
                    target.name
                ));
            }
            Err(error) => log::warn!("{error}"),
        }
    }
}
