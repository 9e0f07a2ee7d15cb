//! One fault, from the undo on disk to the residue check.

use std::time::Duration;

use tokio::time::Instant;

use super::course::{Course, Interrupt, LOOK_EVERY};
use super::runtime::{Fault, Injection, Prepared, RuntimeError, Target};
use super::undo::Undo;
use crate::config::ServiceKind;
use crate::run::event::{ChaosEvent, MomentKind, Timeline};

/// How often the effect of a fault is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// A target without a service of its own is stable when it ran so long.
const RUNS_FOR: Duration = Duration::from_secs(2);
/// A target that does not stay up gets so many times its least uptime to do so.
const UPTIME_TRIES: u32 = 5;
/// How long undoing may be tried.
const HEAL_TRIES: u32 = 3;

/// What one fault did.
#[derive(Clone, Debug, Default)]
pub struct Struck {
    /// Whether it had its effect; none when it was not injected.
    pub effective: Option<bool>,
    /// What proves it.
    pub evidence: Option<String>,
    /// What should be known besides.
    pub notes: Vec<String>,
    /// Moments of the target.
    pub timeline: Timeline,
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
                struck.refused = Some(format!("{} does not stay up", target.name));
                return struck;
            }
            Ok(true) => {}
        }
        self.faults += 1;
        let token = format!("shakedown-{}-{}", self.context.run_id, self.faults);
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
        self.inject(&target, fault, prepared, id, &mut struck).await;
        struck
    }

    /// A container that has just been started would show its engine's restart delay. Says whether
    /// it has been up for long enough.
    async fn wait_for_uptime(
        &mut self,
        target: &mut Target,
        fault: &Fault,
    ) -> Result<bool, Interrupt> {
        let wanted =
            if *fault == Fault::Kill { self.chaos().kill.min_uptime.get() } else { Duration::ZERO };
        let until = Instant::now() + wanted * UPTIME_TRIES;
        let runtime = self.runtime;
        loop {
            if let Ok(now) = self.heeding(runtime.look(target)).await? {
                target.instance = now;
            }
            let missing = wanted.saturating_sub(target.instance.uptime);
            let is_up = target.instance.pid.is_some() || wanted.is_zero();
            if is_up && missing.is_zero() {
                return Ok(true);
            }
            if target.instance.gone || Instant::now() >= until {
                return Ok(false);
            }
            self.wait(missing.max(LOOK_EVERY)).await?;
        }
    }

    async fn inject(
        &mut self,
        target: &Target,
        fault: &Fault,
        prepared: Prepared,
        id: u64,
        struck: &mut Struck,
    ) {
        self.emit(ChaosEvent::Injecting {
            fault: fault.words(target),
            undo: prepared.undo_words.clone(),
            lasts_us: fault.length().as_micros() as u64,
        });
        let (injected, healed);
        match self.runtime.inject(target, fault, &prepared.undo).await {
            Ok(injection) => {
                injected = injection.since;
                self.emit(ChaosEvent::Injected {});
                self.mark(target, struck, MomentKind::Injected, injected);
                let watched = self.watch(target, fault, &prepared.undo, &injection, struck).await;
                struck.interrupted = watched.err();
                let reason = match &struck.interrupted {
                    Some(interrupt) => interrupt.words(),
                    None if struck.removed => "its target was removed".into(),
                    None if struck.restarted => "its target was restarted or stopped".into(),
                    None if struck.recovery.is_some() => {
                        "it is back; nothing should be left".into()
                    }
                    None => "its time is over".into(),
                };
                let baseline = injection.baseline.clone();
                self.heal(target, &prepared.undo, Some(injection), id, &reason, struck).await;
                healed = Instant::now();
                if let Some((well, figures)) = self.runtime.settled(target, fault, &baseline).await
                {
                    let words = format!("{}: {figures}", target.name);
                    struck.unsettled = (!well).then(|| words.clone());
                    struck.notes.push(words);
                }
            }
            Err(RuntimeError(reason)) => {
                struck.refused = Some(reason.clone());
                self.heal(target, &prepared.undo, None, id, &reason, struck).await;
                return;
            }
        }
        struck.lasted = Some((injected, healed));
        if *fault == Fault::Kill {
            struck.over = Some(healed);
            return;
        }
        self.mark(target, struck, MomentKind::Healed, healed);
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
        target: &Target,
        fault: &Fault,
        undo: &Undo,
        injection: &Injection,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        if *fault == Fault::Kill {
            return self.watch_kill(target, injection.since, struck).await;
        }
        let until = injection.since + fault.length();
        let mut measure_at = injection.since + MEASURE_EVERY;
        let witnesses = self.witnesses(target);
        let runtime = self.runtime;
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            self.wait(LOOK_EVERY.min(left)).await?;
            self.detect(target, &witnesses, injection.since, struck);
            // The last measurement comes before the fault ends by itself.
            if Instant::now() >= measure_at && Instant::now() < until {
                measure_at += MEASURE_EVERY;
                self.measure(target, fault, undo, injection, struck).await?;
                if let Ok(now) = self.heeding(runtime.look(target)).await?
                    && !now.same_life(&target.instance)
                {
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
        target: &Target,
        fault: &Fault,
        undo: &Undo,
        injection: &Injection,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        let runtime = self.runtime;
        let effect = self.heeding(runtime.effect(target, fault, undo, injection)).await?;
        struck.connections = effect.connections.or(struck.connections);
        let first = struck.effective != Some(effect.effective);
        // An effect that was there stays proven; the last evidence of it is kept.
        if effect.effective || struck.effective != Some(true) {
            struck.effective = Some(effect.effective);
            struck.evidence = Some(effect.evidence.clone());
        }
        if first && (effect.effective || struck.effective == Some(false)) {
            self.emit(ChaosEvent::Effect {
                effective: effect.effective,
                evidence: effect.evidence,
            });
        }
        Ok(())
    }

    async fn watch_kill(
        &mut self,
        target: &Target,
        killed: Instant,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        let limit = self.chaos().kill.within.get();
        struck.limit = Some(limit);
        struck.effective = Some(false);
        let witnesses = self.witnesses(target);
        let runtime = self.runtime;
        let mut started = None;
        let mut last = target.instance.clone();
        while killed.elapsed() < limit {
            self.wait(LOOK_EVERY).await?;
            self.detect(target, &witnesses, killed, struck);
            let Ok(now) = self.heeding(runtime.look(target)).await? else { continue };
            if now.gone {
                struck.removed = true;
                struck.notes.push(format!("{} was removed", target.name));
                return Ok(());
            }
            if now.pid != target.instance.pid && struck.effective == Some(false) {
                struck.effective = Some(true);
                struck.evidence = Some(format!("the process of {} ended", target.name));
                let died = self.said(target, MomentKind::Died, killed);
                self.mark(target, struck, MomentKind::Died, died.unwrap_or_else(Instant::now));
            }
            if now.pid.is_some() && !now.same_life(&target.instance) {
                if !now.same_life(&last) || started.is_none() {
                    let said = self.said(target, MomentKind::Started, killed);
                    let at = said.unwrap_or_else(Instant::now);
                    started = Some(at);
                    self.mark(target, struck, MomentKind::Started, at);
                }
                last = now.clone();
            }
            let Some(started) = started else { continue };
            match now.healthy {
                Some(false) => continue,
                Some(true) if struck.timeline.at(MomentKind::Healthy).is_none() => {
                    let said = self.said(target, MomentKind::Healthy, killed);
                    let at = said.unwrap_or_else(Instant::now);
                    self.mark(target, struck, MomentKind::Healthy, at);
                }
                _ => {}
            }
            if let Some(stable) = self.stable_since(target, &witnesses, started) {
                self.mark_recovery(target, struck, &witnesses, killed, stable);
                let by_policy = last.restarts > target.instance.restarts;
                let how = if by_policy { "by its restart policy" } else { "but not by its policy" };
                struck.notes.push(format!("{} came back {how}", target.name));
                return Ok(());
            }
        }
        Ok(())
    }

    /// The latest moment of this kind that the runtime itself reported.
    fn said(&self, target: &Target, kind: MomentKind, since: Instant) -> Option<Instant> {
        let moments = self.runtime.moments(target, since).into_iter();
        moments.filter(|(of, _)| *of == kind).map(|(_, at)| at).max()
    }

    /// Waits until the target is well again.
    async fn until_stable(
        &mut self,
        target: &Target,
        struck: &mut Struck,
        from: Instant,
        until: Instant,
    ) -> Result<(), Interrupt> {
        let witnesses = self.witnesses(target);
        while Instant::now() < until {
            self.wait(LOOK_EVERY).await?;
            if let Some(stable) = self.stable_since(target, &witnesses, from) {
                self.mark_recovery(target, struck, &witnesses, from, stable);
                return Ok(());
            }
        }
        Ok(())
    }

    fn stable_since(
        &self,
        target: &Target,
        witnesses: &[ServiceKind],
        started: Instant,
    ) -> Option<Instant> {
        let stable = self.board.stable_since(witnesses, started)?;
        let runs = target.service.is_some() || started.elapsed() >= RUNS_FOR;
        runs.then_some(stable)
    }

    fn mark_recovery(
        &self,
        target: &Target,
        struck: &mut Struck,
        witnesses: &[ServiceKind],
        from: Instant,
        stable: Instant,
    ) {
        // What answers while a target that serves nothing known is down says nothing about it.
        if target.service.is_some()
            && let Some(first) = self.board.first_success(witnesses, from)
        {
            self.mark(target, struck, MomentKind::FirstSuccess, first.min(stable));
        }
        self.mark(target, struck, MomentKind::Stable, stable);
        struck.recovery = Some(stable.saturating_duration_since(from));
    }

    fn detect(&self, target: &Target, witnesses: &[ServiceKind], since: Instant, to: &mut Struck) {
        if to.timeline.at(MomentKind::Detected).is_none()
            && let Some(failed) = self.board.first_failure(witnesses, since)
        {
            self.mark(target, to, MomentKind::Detected, failed);
        }
    }

    fn mark(&self, target: &Target, struck: &mut Struck, kind: MomentKind, at: Instant) {
        struck.timeline.moments.push((kind, self.run_time(at)));
        self.moment(target, kind, at);
    }

    /// Undoes a fault and looks what is left of it. Only when nothing is, the undo journal is told.
    async fn heal(
        &mut self,
        target: &Target,
        undo: &Undo,
        injection: Option<Injection>,
        id: u64,
        reason: &str,
        struck: &mut Struck,
    ) {
        let began = Instant::now();
        self.emit(ChaosEvent::Healing { reason: reason.to_owned() });
        if let Some(lease) = injection.and_then(|injection| injection.lease) {
            match lease.end().await {
                Ok(None) => {}
                Ok(Some(took)) => {
                    self.mark(target, struck, MomentKind::Reconnected, began + took);
                    let took = took.as_secs_f64();
                    struck.notes.push(format!(
                        "{}: fresh connections got through {took:.1} s after the cut",
                        target.name
                    ));
                }
                Err(error) => log::warn!("{error}"),
            }
        }
        let mut residue = Vec::new();
        for attempt in 1..=HEAL_TRIES {
            residue = match undo.undo().await {
                Ok(()) => undo.residue().await,
                Err(error) => vec![error.to_string()],
            };
            if residue.is_empty() || attempt == HEAL_TRIES {
                break;
            }
            tokio::time::sleep(MEASURE_EVERY).await;
        }
        if residue.is_empty()
            && let Err(error) = self.undo.done(id)
        {
            log::warn!("the undo journal cannot be written: {error}");
        }
        struck.residue.clone_from(&residue);
        let took_us = began.elapsed().as_micros() as u64;
        self.emit(ChaosEvent::Healed { took_us, residue });
    }
}
