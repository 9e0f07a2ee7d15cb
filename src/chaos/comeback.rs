//! Watches a target come back, by its runtime and by the probes of its service, and says what each
//! moment of that is known from.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::course::{Course, Interrupt, LOOK_EVERY};
use super::plan::Experiment;
use super::runtime::{Effect, Instance, Runtime, RuntimeError, Target};
use super::strike::Struck;
use crate::config::ServiceKind;
use crate::run::event::{ChaosEvent, Lives, Moment, MomentKind, MomentSource};

/// A target without a service of its own is stable when it ran so long.
const RUNS_FOR: Duration = Duration::from_secs(2);
/// A runtime that takes longer than this to show a target does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A target that ended may be about to be removed: that takes an engine no longer than this.
const REMOVED_WITHIN: Duration = Duration::from_secs(2);

/// Looks at a target; a runtime that does not answer in time is an error too.
pub(super) async fn look(runtime: &dyn Runtime, target: &Target) -> Result<Instance, RuntimeError> {
    timeout(ANSWERS_WITHIN, runtime.look(target)).await.unwrap_or_else(|_| {
        let (name, seconds) = (runtime.name(), ANSWERS_WITHIN.as_secs());
        Err(RuntimeError::new(format!("the {name} runtime did not answer within {seconds} s")))
    })
}

impl Course<'_> {
    /// Looks at a target while something is broken; none when its runtime cannot show it, which is told
    /// when it begins and when it is over.
    pub(super) async fn observe(&mut self, target: &Target) -> Result<Option<Instance>, Interrupt> {
        let looked = look(self.runtime, target);
        let (now, came) = match self.heeding(looked).await? {
            Ok(now) => (Some(now), None),
            Err(RuntimeError(came)) => (None, Some(came)),
        };
        self.heed_trouble(came);
        Ok(now)
    }

    /// Tells what came when the runtime does not do what it is asked any more, and that it does again.
    pub(super) fn heed_trouble(&mut self, why: Option<String>) {
        if why.is_some() != self.in_trouble {
            self.in_trouble = why.is_some();
            self.emit(ChaosEvent::RuntimeTrouble { why });
        }
    }

    /// Id of a target that an experiment needs and that is not there any more. A runtime that does not
    /// answer says nothing of that.
    ///
    /// # Errors
    /// When the run is to hold, or the phase to end.
    pub(super) async fn first_gone(
        &mut self,
        experiment: &Experiment,
    ) -> Result<Option<String>, Interrupt> {
        for target in experiment.needs() {
            let looked = look(self.runtime, target);
            match self.heeding(looked).await {
                Ok(Ok(now)) if now.gone => return Ok(Some(target.id.clone())),
                Ok(_) => {}
                Err(ended @ (Interrupt::Pause | Interrupt::Stop)) => return Err(ended),
                // There is nothing to heal; an alarm goes on, and ends the experiment, which tells it.
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What became of a target that is not as it was: one that ended is looked at until it is gone or
    /// runs again, since whoever removes a container ends it first.
    pub(super) async fn became(
        &mut self,
        target: &Target,
        mut now: Instance,
    ) -> Result<Instance, Interrupt> {
        let until = Instant::now() + REMOVED_WITHIN;
        while now.pid.is_none() && !now.gone && Instant::now() < until {
            self.wait(LOOK_EVERY).await?;
            now = self.observe(target).await?.unwrap_or(now);
        }
        Ok(now)
    }

    /// Watches a target that was killed until it is well again, or its time for that is over.
    pub(super) async fn watch_kill(
        &mut self,
        target: &Target,
        killed: Instant,
        struck: &mut Struck,
    ) -> Result<(), Interrupt> {
        let limit = self.chaos().kill.within.get();
        struck.limit = Some(limit);
        struck.effective = Some(false);
        let witnesses = self.witnesses(target);
        let (mut started, mut healthy) = (None, None);
        let mut last = target.instance.clone();
        while killed.elapsed() < limit {
            self.wait(LOOK_EVERY).await?;
            self.detect(target, &witnesses, killed, struck);
            let Some(now) = self.observe(target).await? else { continue };
            if now.gone {
                struck.removed = true;
                struck.notes.push(format!("{} was removed", target.name));
                return Ok(());
            }
            self.mark_end(target, &now, killed, struck);
            if now.pid.is_some() && !now.same_life(&target.instance) {
                if !now.same_life(&last) || started.is_none() {
                    self.tell_lives(target, Some(&now), struck);
                    let seen = self.mark_seen(target, struck, MomentKind::Started, killed);
                    (started, healthy) = (Some(seen.0), None);
                }
                last = now.clone();
            }
            let Some(started) = started else {
                struck.unstable = Some(format!("{} was not started again", target.name));
                continue;
            };
            match now.healthy {
                Some(false) => {
                    let name = &target.name;
                    struck.unstable = Some(format!("{name} does not pass its own health check"));
                    continue;
                }
                Some(true) if healthy.is_none() => {
                    healthy = Some(self.mark_seen(target, struck, MomentKind::Healthy, killed));
                }
                _ => {}
            }
            if let Some(probed) = self.stable_since(target, &witnesses, started) {
                // Its own health check may be what it comes back by last.
                let probed = (probed, MomentSource::Probe);
                let stable = healthy.filter(|healthy| healthy.0 > probed.0).unwrap_or(probed);
                self.mark_recovery(target, struck, &witnesses, started, stable);
                struck.recovery = Some(stable.0.saturating_duration_since(killed));
                let by_policy = last.restarts > target.instance.restarts;
                let how = if by_policy { "by its restart policy" } else { "but not by its policy" };
                struck.notes.push(format!("{} came back {how}", target.name));
                return Ok(());
            }
            self.note_missing(target, &witnesses, started, struck);
        }
        Ok(())
    }

    /// Marks that the life that was killed has ended, when that is seen first.
    fn mark_end(&self, target: &Target, now: &Instance, killed: Instant, struck: &mut Struck) {
        if now.pid != target.instance.pid && struck.effective == Some(false) {
            self.tell_lives(target, None, struck);
            self.mark_seen(target, struck, MomentKind::Died, killed);
        }
    }

    /// Tells the life that a kill ended and the one after it, which prove it.
    fn tell_lives(&self, target: &Target, after: Option<&Instance>, struck: &mut Struck) {
        let lives = Lives {
            target: target.name.clone(),
            before: target.instance.life(),
            after: after.map(Instance::life),
        };
        self.take_effect(Effect::new(true, lives.words()), struck);
        struck.lives = Some(lives);
    }

    /// Waits until the target is well again.
    pub(super) async fn until_stable(
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
                struck.recovery = Some(stable.saturating_duration_since(from));
                let stable = (stable, MomentSource::Probe);
                self.mark_recovery(target, struck, &witnesses, from, stable);
                return Ok(());
            }
        }
        self.note_missing(target, &witnesses, from, struck);
        Ok(())
    }

    /// Notes what keeps a target from being stable. Where its probes are well, a target without a service
    /// of its own does not run for long enough yet.
    fn note_missing(
        &self,
        target: &Target,
        witnesses: &[ServiceKind],
        since: Instant,
        struck: &mut Struck,
    ) {
        let missing = self.board.unstable(witnesses, since);
        if !missing.is_empty() {
            struck.unstable = Some(missing.join(", "));
        } else if target.service.is_none() {
            let seconds = RUNS_FOR.as_secs();
            struck.unstable = Some(format!("{} has not run for {seconds} s", target.name));
        }
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

    /// Marks that a target is stable, and its first good answer since it was there again.
    fn mark_recovery(
        &self,
        target: &Target,
        struck: &mut Struck,
        witnesses: &[ServiceKind],
        since: Instant,
        (stable, source): (Instant, MomentSource),
    ) {
        // What answers while a target that serves nothing known is down says nothing about it.
        if target.service.is_some()
            && let Some(first) = self.board.first_success(witnesses, since)
        {
            let (kind, at) = (MomentKind::FirstSuccess, first.min(stable));
            self.mark(target, struck, kind, at, MomentSource::Probe);
        }
        self.mark(target, struck, MomentKind::Stable, stable, source);
        struck.unstable = None;
    }

    /// Marks when a probe of these services failed first, once one has.
    pub(super) fn detect(
        &self,
        target: &Target,
        witnesses: &[ServiceKind],
        since: Instant,
        to: &mut Struck,
    ) {
        if to.timeline.at(MomentKind::Detected).is_none()
            && let Some(failed) = self.board.first_failure(witnesses, since)
        {
            self.mark(target, to, MomentKind::Detected, failed, MomentSource::Probe);
        }
    }

    /// Marks what is seen now: at the time that the runtime's own events tell, or else at this one. An event
    /// by another clock is not told as if it came before its cause.
    fn mark_seen(
        &self,
        target: &Target,
        struck: &mut Struck,
        kind: MomentKind,
        since: Instant,
    ) -> (Instant, MomentSource) {
        let told = self.runtime.moments(target, since).into_iter();
        let told = told.filter(|(of, _)| *of == kind).map(|(_, at)| at).max();
        let (at, source) = match told {
            Some(at) => (at.max(since), MomentSource::Event),
            None => (Instant::now(), MomentSource::Inspect),
        };
        self.mark(target, struck, kind, at, source);
        (at, source)
    }

    /// Marks a moment of a target, and reports it.
    pub(super) fn mark(
        &self,
        target: &Target,
        struck: &mut Struck,
        kind: MomentKind,
        at: Instant,
        source: MomentSource,
    ) {
        let (at_us, source) = (self.run_time(at), Some(source));
        struck.timeline.add(Moment { kind, at_us, source });
        self.emit(ChaosEvent::Moment { target: target.name.clone(), kind, at_us, source });
    }
}
