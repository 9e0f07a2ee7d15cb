//! The whole dashboard on a test backend: snapshots, sizes, keys, and how often it draws.

mod backup;
mod chaos;
mod covered;
mod ends;
mod load;
mod narrow;
mod security;
mod start;
mod story;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use story::Story;

use super::app::{App, Panel};
use super::fate::Fate;
use super::glyphs::Glyphs;
use super::input::{Input, Keys};
use super::operate::press;
use super::terminal::Canvas;
use super::theme::Theme;
use super::{Ended, event_loop, panels};
use crate::config::PhaseKind;
use crate::run::client::{ClientUpdate, EngineClient, EngineClientPeer};
use crate::run::control::Command;
use crate::run::event::EventBody;
use crate::run::state::RunState;

fn app_with(state: RunState, ascii: bool) -> (App, EngineClientPeer) {
    let (client, peer) = EngineClient::pair(false);
    let theme = Theme::load(None, ascii).expect("shipped");
    let mut app = App::new(client, theme, Glyphs { ascii });
    app.report = "runs/20261123-120000-7f3a91/production_validation_report.json".into();
    app.hear(ClientUpdate::Snapshot(Box::new(state)));
    (app, peer)
}

fn screen(app: &App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("test backend");
    terminal.draw(|frame| panels::render(frame, app)).expect("drawn");
    terminal.backend().to_string()
}

fn key(code: KeyCode) -> Input {
    Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn char(c: char) -> Input {
    key(KeyCode::Char(c))
}

#[tokio::test(start_paused = true)]
async fn screens_look_as_they_should() {
    let run = || Story::new().running(30).judged();
    let (overview, _peer) = app_with(run().state, false);
    insta::assert_snapshot!("overview_80x24", screen(&overview, 80, 24));
    insta::assert_snapshot!("overview_120x40", screen(&overview, 120, 40));
    insta::assert_snapshot!("overview_200x50", screen(&overview, 200, 50));
    insta::assert_snapshot!("minimum_40x8", screen(&overview, 40, 8));
    let (ascii, _peer) = app_with(run().state, true);
    let drawn = screen(&ascii, 120, 40);
    assert!(drawn.is_ascii(), "{drawn}");
    insta::assert_snapshot!("overview_ascii_120x40", drawn);
    let (ready, _peer) = app_with(Story::new().ready().state, false);
    insta::assert_snapshot!("ready_80x24", screen(&ready, 80, 24));
    let (finished, _peer) = app_with(run().finished().state, false);
    insta::assert_snapshot!("finished_80x24", screen(&finished, 80, 24));
    let (mut load, _peer) = app_with(run().state, false);
    load.panel = Panel::Load;
    insta::assert_snapshot!("load_120x40", screen(&load, 120, 40));
    let (mut chaos, _peer) = app_with(run().chaos().state, false);
    insta::assert_snapshot!("fault_80x24", screen(&chaos, 80, 24));
    chaos.panel = Panel::Chaos;
    insta::assert_snapshot!("chaos_80x24", screen(&chaos, 80, 24));
    insta::assert_snapshot!("chaos_120x40", screen(&chaos, 120, 40));
    insta::assert_snapshot!("chaos_200x50", screen(&chaos, 200, 50));
    let (mut slo, _peer) = app_with(run().state, false);
    slo.panel = Panel::Slo;
    insta::assert_snapshot!("slo_80x24", screen(&slo, 80, 24));
    insta::assert_snapshot!("slo_120x40", screen(&slo, 120, 40));
    load.panel = Panel::Help;
    insta::assert_snapshot!("help_120x40", screen(&load, 120, 40));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn no_size_breaks_any_panel(
        width in 1u16..300, height in 1u16..100, panel in 0usize..8, story in 0usize..7,
        explain: bool, ascii: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("runtime").block_on(async {
            let state = match story {
                0 => RunState::default(),
                1 => Story::new().ready().state,
                2 => Story::new().running(3).judged().state,
                3 => Story::new().running(700).state,
                4 => Story::new().running(3).chaos().state,
                5 => Story::new().running(3).drilling().drilled().state,
                _ => Story::new().running(9).judged().finished().state,
            };
            let (mut app, _peer) = app_with(state, ascii);
            app.panel = Panel::ALL[panel];
            app.explain = explain;
            screen(&app, width, height);
        });
    }
}

/// Plays keys at their times, then waits for ever.
struct ScriptedKeys(VecDeque<(tokio::time::Instant, Input)>);

impl ScriptedKeys {
    /// Each key after a pause in milliseconds.
    fn new(keys: &[(u64, Input)]) -> Self {
        let mut at = tokio::time::Instant::now();
        let timed = keys.iter().map(|(pause, input)| {
            at += Duration::from_millis(*pause);
            (at, *input)
        });
        Self(timed.collect())
    }
}

impl Keys for ScriptedKeys {
    async fn next(&mut self) -> Input {
        let Some((at, input)) = self.0.front().copied() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(at).await;
        self.0.pop_front();
        input
    }
}

#[derive(Default)]
struct CountingCanvas {
    frames: usize,
}

impl Canvas for CountingCanvas {
    fn draw(&mut self, _: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()> {
        self.frames += 1;
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn play(
    app: App,
    peer: &mut EngineClientPeer,
    keys: Vec<(u64, Input)>,
) -> (Ended, usize, Vec<Command>) {
    let mut canvas = CountingCanvas::default();
    let ended = event_loop::run(app, &mut canvas, ScriptedKeys::new(&keys), 10).await;
    (ended, canvas.frames, sent(peer))
}

/// What was asked of the engine since the last look.
fn sent(peer: &mut EngineClientPeer) -> Vec<Command> {
    let commands = std::iter::from_fn(|| peer.commands.try_recv().ok());
    commands.map(|(_, command)| command).collect()
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_events_is_one_frame_and_a_quiet_run_draws_nothing() {
    let mut story = Story::new().ready();
    let (app, mut peer) = app_with(story.state.clone(), false);
    for _ in 0..200 {
        let message = "line".to_owned();
        let log = EventBody::Log {
            level: crate::run::event::LogLevel::Info,
            target: "t".into(),
            message,
        };
        let event = story.tell(None, log);
        peer.updates.send(ClientUpdate::Event(Box::new(event))).await.expect("room");
    }
    let (ended, frames, _) = play(app, &mut peer, vec![(60_000, char('d'))]).await;
    assert_eq!(ended, Ended::Detached(Fate::Waits));
    assert_eq!(frames, 2, "the first frame, and one for the burst");
}

#[tokio::test(start_paused = true)]
async fn keys_ask_the_engine_and_dangerous_ones_ask_first() {
    let (app, mut peer) = app_with(Story::new().running(3).state, false);
    let keys = vec![
        (10, char('p')),
        (10, char('+')),
        (10, char('A')),
        (10, char('n')),
        (10, char('A')),
        (10, char('y')),
        (10, char('n')),
        (10, char('h')),
        (10, char('i')),
        (10, key(KeyCode::Enter)),
        (10, char('A')),
        (20_000, char('y')),
        (10, char('q')),
        (10, char('d')),
    ];
    let (ended, _, commands) = play(app, &mut peer, keys).await;
    assert_eq!(ended, Ended::Detached(Fate::GoesOn));
    let expected = [
        Command::Pause {},
        Command::Rescale { scenario: None, by: 10 },
        Command::ABORT_RUN,
        Command::Annotate { text: "hi".into() },
    ];
    assert_eq!(commands, expected, "a refused and an expired question do nothing");
}

#[tokio::test(start_paused = true)]
async fn the_plan_is_changed_before_it_is_started() {
    let (app, mut peer) = app_with(Story::new().ready().state, false);
    let keys = vec![
        (10, key(KeyCode::Down)),
        (10, char('o')),
        (10, char('J')),
        (10, key(KeyCode::Enter)),
        (10, char('d')),
    ];
    let (_, _, commands) = play(app, &mut peer, keys).await;
    let expected = [
        Command::PlanSkip { phase: PhaseKind::Ramping, skip: true },
        Command::MovePhase { phase: PhaseKind::Ramping, by: 1 },
        Command::Start { phase: Some(PhaseKind::Chaos) },
    ];
    assert_eq!(commands, expected);
}

/// Counts the bytes that a terminal would get.
struct Counted(Rc<Cell<usize>>);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a second of live histograms costs on the wire at 120x40: the goal is 1.5 KB.
#[tokio::test(start_paused = true)]
async fn a_second_of_live_data_is_small_on_the_wire() {
    let mut story = Story::new().running(30).judged();
    let (mut app, _peer) = app_with(story.state.clone(), false);
    let wire = Rc::new(Cell::new(0));
    let viewport =
        TerminalOptions { viewport: Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 120, 40)) };
    let mut terminal =
        Terminal::with_options(CrosstermBackend::new(Counted(Rc::clone(&wire))), viewport)
            .expect("buffer");
    let mut sizes = Vec::new();
    for second in 30..90 {
        let event = story.interval(second);
        app.hear(ClientUpdate::Event(Box::new(event)));
        tokio::time::advance(Duration::from_secs(1)).await;
        terminal.draw(|frame| panels::render(frame, &app)).expect("drawn");
        sizes.push(wire.replace(0));
    }
    let mean = sizes[1..].iter().sum::<usize>() / (sizes.len() - 1);
    assert!(mean <= 1500, "{mean} bytes a second: {sizes:?}");
}
