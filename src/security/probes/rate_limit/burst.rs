//! A hundred requests at once, and what limits showed.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::platform::text::excerpt;
use crate::run::event::Exchange;
use crate::security::answer::{Answer, resemblance};
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::prober::ProbeError;
use crate::security::request::Request;

/// Requests of a burst.
pub const REQUESTS: usize = 100;
/// Of those, at the same time.
pub const AT_ONCE: usize = 20;
/// A burst is over then, however many came.
const LONGEST: Duration = Duration::from_secs(10);
/// After so many failures nothing more is asked.
const MOST_BROKEN: usize = 10;
/// Longest wait for a limit to be over.
const LONGEST_RETRY: Duration = Duration::from_secs(15);
/// Requests one after the other that show whether failures are those of many at once.
const ALONE: usize = 30;
/// How alike two answers are that say the same, 0-1.
const ALIKE: f64 = 0.8;
/// Requests by which a header must be shown to lead around a limit.
const BYPASSES: usize = 3;

/// Headers that name the client, as proxies write them.
const FORWARDED: [&str; 4] = ["x-forwarded-for", "x-real-ip", "true-client-ip", "forwarded"];

/// What a burst showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// Answers.
    pub answers: usize,
    /// The position of the first refusal for the rate, from 1.
    pub first_refusal: Option<usize>,
    /// Refusals for the rate.
    pub refusals: usize,
    /// Requests of another burst before it.
    pub before: usize,
    /// Answers with 5xx that are no refusal.
    pub broken: usize,
    /// Answers that say that the account is locked.
    pub locked: usize,
    /// The position from which everything was answered otherwise, from 1: a lock or a riddle instead of a
    /// plain no.
    pub turned: Option<usize>,
    /// Whether the time was over before all of it was answered: something may slow it down.
    pub slow: bool,
    /// Headers that tell of a limit.
    pub headers: Vec<String>,
    /// What `Retry-After` says.
    pub retry_after: Option<Duration>,
    /// Whether it was asked again after that, and what came.
    pub after: Option<u16>,
    /// The first answer and the last one, for who wants to see them.
    pub shown: Vec<Exchange>,
    /// Whether another one showed the same.
    pub twice: bool,
    /// Failures of requests that were sent one after the other, where those of this one show twice.
    pub alone: usize,
}

/// A header that leads around a limit, and both sides of the last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// Its name.
    pub header: &'static str,
    /// With it and without it.
    pub shown: Vec<Exchange>,
}

impl Burst {
    /// Asks a hundred times, and once more where that shows a weakness: a window of the limit may have ended
    /// in its midst, and failures may have been somebody else's.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn confirmed(
        context: &AuditContext<'_>,
        request: &Request,
    ) -> Result<Self, ProbeError> {
        let mut first = Self::of(context, request).await?;
        let refuses = first.is_limited() || first.locked > 0 || first.turned.is_some();
        if !first.is_broken() && refuses {
            return Ok(first);
        }
        let again = match Self::of(context, request).await {
            Ok(again) => again,
            // What was seen once stands, as seen once.
            Err(ProbeError::Budget) => return Ok(first),
            Err(ProbeError::Failed(_)) => Self { broken: MOST_BROKEN, ..Self::default() },
        };
        first.twice = again.is_broken() == first.is_broken();
        if first.is_broken() && first.twice {
            first.alone = failures_alone(context, request).await;
        }
        // A limit that shows in the second hundred is one.
        let limited = !first.is_broken() && !again.is_unlimited();
        Ok(if limited { Self { before: first.answers, ..again } } else { first })
    }

    /// Whether so many requests are more than the service can do.
    pub fn is_broken(&self) -> bool {
        self.broken * 10 > self.answers.max(10)
    }

    /// Whether requests are refused for their rate once there were too many, rather than now and then: a
    /// fifth of those from the first refusal on.
    pub fn is_limited(&self) -> bool {
        self.first_refusal.is_some_and(|at| self.refusals * 5 > self.answers - at)
    }

    /// Whether nothing was refused for the rate, and no account locked.
    pub const fn is_unlimited(&self) -> bool {
        self.refusals == 0 && self.locked == 0 && self.turned.is_none()
    }

    /// Whether something was refused, and not as a limit would do it.
    pub fn is_undecided(&self) -> bool {
        self.refusals > 0 && self.locked == 0 && !self.is_limited()
    }

    /// Asks a hundred times; waits for the limit to be over once, where it says when.
    ///
    /// # Errors
    /// When the budget is used up, or nothing is answered at all.
    pub async fn of(context: &AuditContext<'_>, request: &Request) -> Result<Self, ProbeError> {
        let mut burst = Self::default();
        let mut answers = stream::iter(burst_of(context, request)).buffered(AT_ONCE);
        let until = tokio::time::Instant::now() + LONGEST;
        let (mut failed, mut said) = (None, Vec::new());
        loop {
            let answer = match tokio::time::timeout_at(until, answers.next()).await {
                Ok(Some(answer)) => answer,
                Ok(None) => break,
                Err(_) => {
                    burst.slow = true;
                    break;
                }
            };
            match answer {
                Ok(answer) => {
                    burst.take(&answer);
                    said.push((answer.status, excerpt(&answer.body)));
                    let role = format!("request {}", burst.answers);
                    burst.shown.truncate(1);
                    burst.shown.push(exchange(&role, request, &answer, ""));
                }
                Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                Err(error) => {
                    burst.broken += 1;
                    failed = Some(error);
                }
            }
            if burst.broken >= MOST_BROKEN {
                break;
            }
        }
        match failed {
            Some(error) if burst.answers == 0 => return Err(error),
            _ => {}
        }
        burst.turned = turned(&said);
        if let Some(wait) = burst.retry_after.filter(|wait| *wait <= LONGEST_RETRY) {
            tokio::time::sleep(wait + Duration::from_millis(100)).await;
            burst.after = context.prober.ask(request).await.ok().map(|answer| answer.status);
        }
        Ok(burst)
    }

    fn take(&mut self, answer: &Answer) {
        self.answers += 1;
        let retry = retry_after(answer);
        match answer.status {
            429 => self.refuse(),
            503 if retry.is_some() => self.refuse(),
            423 => self.locked += 1,
            500.. => self.broken += 1,
            _ => {}
        }
        self.retry_after = self.retry_after.or(retry);
        if self.headers.is_empty() {
            let names = answer.headers.keys().map(|name| name.as_str());
            let told = names.filter(|name| {
                name.starts_with("ratelimit")
                    || name.starts_with("x-ratelimit")
                    || *name == "retry-after"
            });
            self.headers = told.take(6).map(str::to_owned).collect();
        }
    }

    fn refuse(&mut self) {
        self.refusals += 1;
        self.first_refusal.get_or_insert(self.answers);
    }

    /// A header that leads around the limit: refused without it, answered with it, three times in turn.
    ///
    /// # Errors
    /// When the budget is used up.
    pub async fn bypass(
        &self,
        context: &AuditContext<'_>,
        request: &Request,
    ) -> Result<Option<Bypass>, ProbeError> {
        if !self.is_limited() {
            return Ok(None);
        }
        // Full again, so that the control is refused.
        let again = stream::iter(burst_of(context, request)).buffered(AT_ONCE);
        let statuses: Vec<_> = again.collect().await;
        if !statuses.iter().any(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 429)) {
            return Ok(None);
        }
        'headers: for header in FORWARDED {
            let mut shown = Vec::new();
            for n in 0..BYPASSES {
                let address =
                    format!("198.51.100.{}", 1 + n + usize::from(rand::random::<u8>() % 200));
                let value = if header == "forwarded" { format!("for={address}") } else { address };
                let around = request.clone().with(header, &value);
                let control = context.prober.ask_at_once(request).await;
                let with = context.prober.ask_at_once(&around).await;
                let (control, with) = match (control, with) {
                    (Ok(control), Ok(with)) => (control, with),
                    (Err(ProbeError::Budget), _) | (_, Err(ProbeError::Budget)) => {
                        return Err(ProbeError::Budget);
                    }
                    _ => continue 'headers,
                };
                if control.status != 429 || with.status == 429 || with.status >= 500 {
                    continue 'headers;
                }
                shown = vec![
                    exchange("attack", &around, &with, ""),
                    exchange("control", request, &control, ""),
                ];
            }
            return Ok(Some(Bypass { header, shown }));
        }
        Ok(None)
    }

    /// What was seen, in words.
    pub fn words(&self) -> String {
        let limit = match (self.first_refusal, self.turned) {
            (Some(_), _) if self.is_undecided() => format!(
                "{} of {} requests refused now and then, which is no limit that holds",
                self.refusals, self.answers
            ),
            (Some(at), _) => format!("refused from request {}", self.before + at),
            (None, _) if self.locked > 0 => "the account is locked".to_owned(),
            (None, Some(at)) => format!("answered otherwise from request {}", self.before + at),
            (None, None) => {
                let twice = if self.twice { ", twice" } else { "" };
                let slow = if self.slow { ", more were not answered in the time" } else { "" };
                format!(
                    "no limit observed within {} requests, {AT_ONCE} at once{twice}{slow}",
                    self.answers
                )
            }
        };
        let retry = match (self.retry_after, self.after) {
            (Some(wait), Some(status)) => format!(", {status} after {} s", wait.as_secs()),
            (Some(wait), None) => format!(", to be tried again after {} s", wait.as_secs()),
            _ => String::new(),
        };
        let headers = if self.headers.is_empty() {
            String::new()
        } else {
            format!(", told by {}", self.headers.join(", "))
        };
        format!("{limit}{retry}{headers}")
    }
}

/// From where on everything was refused in another way than at first, from 1: twice at least in the one
/// way, and all that come at once in the other. Answers that vary by themselves are no such turn, and one
/// that is given is no refusal.
fn turned(said: &[(u16, String)]) -> Option<usize> {
    let (first, last) = (said.first()?, said.last().filter(|last| last.0 >= 400)?);
    let like = |one: &(u16, String), other: &(u16, String)| {
        one.0 == other.0 && resemblance(&one.1, &other.1) >= ALIKE
    };
    let from = 1 + said.iter().rposition(|one| !like(one, last))?;
    let at_first = said[..from].iter().filter(|one| like(one, first)).count();
    (at_first >= 2 && said.len() - from >= AT_ONCE).then_some(from + 1)
}

type Asked<'a> = BoxFuture<'a, Result<Answer, ProbeError>>;

fn burst_of<'a>(context: &'a AuditContext<'_>, request: &'a Request) -> Vec<Asked<'a>> {
    let ask = |_| -> Asked<'a> { Box::pin(context.prober.ask_at_once(request)) };
    (0..REQUESTS).map(ask).collect()
}

/// How many requests fail that are sent one after the other. Those before the first answer do not count, where
/// there is one: a burst may have broken something for a while.
async fn failures_alone(context: &AuditContext<'_>, request: &Request) -> usize {
    let (mut failures, mut unheard, mut answered) = (0, 0, false);
    let until = tokio::time::Instant::now() + LONGEST * 3;
    for _ in 0..ALONE {
        match tokio::time::timeout_at(until, context.prober.ask(request)).await {
            Err(_) | Ok(Err(ProbeError::Budget)) => break,
            Ok(Ok(answer)) if answer.status < 500 => answered = true,
            Ok(_) if answered => failures += 1,
            Ok(_) => unheard += 1,
        }
    }
    if answered { failures } else { unheard }
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(answer: &Answer) -> Option<Duration> {
    let value = answer.header("retry-after").trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn refusals_now_and_then_are_no_limit_and_one_in_the_second_hundred_is_counted_on() {
        let burst = |refused: &dyn Fn(usize) -> bool| {
            let mut burst = Burst::default();
            for n in 1..=100 {
                burst.take(&answer(if refused(n) { 429 } else { 200 }, &[], ""));
            }
            burst
        };
        let chance = burst(&|n| n % 30 == 20);
        assert!(chance.is_undecided() && !chance.is_limited() && !chance.is_unlimited());
        assert!(chance.words().starts_with("3 of 100 requests refused now and then"));
        for limit in [burst(&|n| n > 60), burst(&|n| n == 100), burst(&|n| n > 50 && n % 2 == 0)] {
            assert!(limit.is_limited() && !limit.is_undecided(), "{}", limit.words());
        }
        let second = Burst { before: 100, ..burst(&|n| n > 60) };
        assert_eq!(second.words(), "refused from request 161");
    }

    #[test]
    fn a_lock_is_another_no_from_some_request_on() {
        let said = |n: usize, status: u16, body: &dyn Fn(usize) -> String| -> Vec<(u16, String)> {
            (0..n).map(|at| (status, body(at))).collect()
        };
        let wrong = |at: usize| format!("{{\"error\":\"wrong password\",\"id\":\"{at}f\"}}");
        let locked = |at: usize| format!("{{\"error\":\"account locked\",\"until\":\"{at}Z\"}}");
        let then = |status: u16| [said(6, 401, &wrong), said(94, status, &locked)].concat();
        assert_eq!((turned(&then(401)), turned(&then(403))), (Some(7), Some(7)));
        assert_eq!(turned(&said(100, 401, &wrong)), None, "an id is no turn");
        let random = |at: usize| format!("{} {}", "ab ".repeat(at % 7), "cd ".repeat(at % 5));
        assert_eq!(turned(&said(100, 401, &random)), None);
        assert_eq!(turned(&then(200)), None, "it is answered, as from a cache");
        assert_eq!(turned(&[said(99, 401, &wrong), said(1, 403, &locked)].concat()), None);
    }

    #[test]
    fn refusals_locks_and_failures_are_told_apart() {
        let mut burst = Burst::default();
        burst.take(&answer(200, &[("x-ratelimit-limit", "10")], ""));
        burst.take(&answer(500, &[], ""));
        burst.take(&answer(503, &[], ""));
        assert_eq!((burst.first_refusal, burst.broken), (None, 2), "a 503 alone is a failure");
        burst.take(&answer(429, &[("retry-after", "3")], ""));
        assert_eq!(burst.first_refusal, Some(4));
        assert_eq!(burst.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(burst.headers, ["x-ratelimit-limit"]);
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
        let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let wait = retry_after(&answer(503, &[("retry-after", &date)], "")).expect("a date");
        assert!((50..=60).contains(&wait.as_secs()), "{wait:?}");
    }
}
