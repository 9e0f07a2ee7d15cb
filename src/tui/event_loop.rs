//! The loop: signals and keys first, then what the engine says, drawn when it is due.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Ended;
use super::app::{App, Link};
use super::frames::FrameSchedule;
use super::input::{Input, Keys};
use super::operate::{After, left, press};
use super::panels;
use super::terminal::Canvas;

/// Shows an app until the operator leaves.
pub async fn run(mut app: App, canvas: &mut impl Canvas, mut keys: impl Keys, fps: u8) -> Ended {
    let mut frames = FrameSchedule::new(fps);
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut open = true;
    loop {
        if let Some(ended) = ended(&app) {
            return ended;
        }
        if frames.due().is_some_and(|due| due <= Instant::now()) {
            if canvas.draw(&mut |frame| panels::render(frame, &app)).is_err() {
                return left(&app);
            }
            frames.drawn();
        }
        let (due, expires, moving) = (frames.due(), app.expires(), app.clocks_run());
        tokio::select! {
            biased;
            input = keys.next() => match take_input(&mut app, canvas, input) {
                Some(ended) => return ended,
                None => frames.draw_now(),
            },
            update = app.client.updates.recv(), if open => match update {
                Some(update) => {
                    let urgent = hear_all(&mut app, update);
                    if urgent { frames.draw_now() } else { frames.data_changed() }
                }
                None => {
                    open = false;
                    app.closed();
                    frames.draw_now();
                }
            },
            () = sleep_until(due) => {}
            () = sleep_until(expires) => if app.expire() { frames.draw_now() },
            _ = clock.tick(), if moving => frames.data_changed(),
        }
    }
}

/// How it ends without the operator's doing: no run came to be, or the one that he closes is over.
fn ended(app: &App) -> Option<Ended> {
    match (&app.link, &app.state.identity) {
        (Link::Lost(reason), None) => Some(Ended::Disconnected(reason.clone())),
        (link, _) if app.closing && (*link != Link::Live || app.state.verdict.is_some()) => {
            Some(Ended::Finished(None))
        }
        _ => None,
    }
}

/// Takes in everything that waits, so that a burst is one frame.
fn hear_all(app: &mut App, first: crate::run::client::ClientUpdate) -> bool {
    let mut urgent = app.hear(first);
    while let Ok(update) = app.client.updates.try_recv() {
        urgent |= app.hear(update);
    }
    // A frozen view does not change, whatever happens.
    urgent && !app.is_frozen()
}

fn take_input(app: &mut App, canvas: &mut impl Canvas, input: Input) -> Option<Ended> {
    let done = match input {
        Input::Gone => return Some(left(app)),
        Input::Resize => canvas.clear(),
        Input::Continued => canvas.resume(),
        Input::Stop => canvas.suspend(),
        Input::Key(key) => match press(app, key) {
            After::Stay => Ok(()),
            After::Leave(ended) => return Some(ended),
            After::Redraw => canvas.clear(),
            After::Suspend => canvas.suspend(),
        },
    };
    done.err().map(|_| left(app))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
