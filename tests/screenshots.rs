//! Pictures of the real program in a real terminal, for the README:
//! `cargo test --test screenshots -- --ignored` writes `screenshots/*.svg` anew.

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use support::Workplace;

const ROWS: u16 = 36;
const COLUMNS: u16 = 120;
const CELL: (f32, f32) = (8.43, 18.0);
/// The sixteen colours as a common dark theme shows them.
const PALETTE: [&str; 16] = [
    "#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6",
    "#7c7f84", "#d54e53", "#b9ca4a", "#e7c547", "#7aa6da", "#c397d8", "#70c0b1", "#eaeaea",
];

fn color(color: vt100::Color, fallback: &str) -> String {
    match color {
        vt100::Color::Default => fallback.to_owned(),
        vt100::Color::Idx(at) => PALETTE[usize::from(at % 16)].to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn svg(screen: &vt100::Screen) -> String {
    let (width, height) = (f32::from(COLUMNS) * CELL.0 + 20.0, f32::from(ROWS) * CELL.1 + 20.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
        PALETTE[0]
    );
    for row in 0..ROWS {
        let mut column = 0;
        while column < COLUMNS {
            let style =
                |at: u16| screen.cell(row, at).map(|c| (c.fgcolor(), c.bold(), c.inverse()));
            let from = column;
            let mut text = String::new();
            while column < COLUMNS && style(column) == style(from) {
                let cell = screen.cell(row, column);
                let content = cell.map(vt100::Cell::contents).filter(|c| !c.is_empty());
                text.push_str(content.unwrap_or(" "));
                column += 1;
            }
            if text.trim().is_empty() {
                continue;
            }
            let Some((fg, bold, inverse)) = style(from) else { continue };
            let (x, y) = (f32::from(from) * CELL.0 + 10.0, f32::from(row) * CELL.1 + 24.0);
            let length = f32::from(column - from) * CELL.0;
            let mut fill = color(fg, PALETTE[7]);
            if inverse {
                let top = y - 14.0;
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"18\" fill=\"{fill}\"/>"
                );
                fill = PALETTE[0].to_owned();
            }
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{fill}\"{weight} xml:space=\"preserve\" \
                 textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                escape(&text)
            );
        }
    }
    out + "</svg>\n"
}

#[test]
#[ignore = "writes screenshots/ anew; takes two minutes"]
fn take_them() {
    let place = Workplace::new();
    let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
    let pty = native_pty_system().openpty(size).expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_shakedown"));
    command.args(["demo", "--seed", "7"]);
    command.cwd(place.path());
    command.env("XDG_STATE_HOME", place.path().join("state"));
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command).expect("started");
    let parser = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
    let mut reader = pty.master.try_clone_reader().expect("readable");
    let screen = Arc::clone(&parser);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            screen.lock().expect("not poisoned").process(&buffer[..n]);
        }
    });
    let mut writer = pty.master.take_writer().expect("writable");
    let mut take = |name: &str, keys: &str, after: u64| {
        writer.write_all(keys.as_bytes()).expect("written");
        std::thread::sleep(Duration::from_secs(after));
        let picture = svg(parser.lock().expect("not poisoned").screen());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(name);
        std::fs::write(path, picture).expect("written");
    };
    take("overview.svg", "", 35);
    take("load.svg", "2", 2);
    take("slo.svg", "5", 2);
    take("help.svg", "?", 1);
    // The rest of both load phases is left out: the last experiment of chaos comes soon after.
    take("chaos.svg", "S3", 9);
    take("chaos.svg", "S", 48);
    take("security.svg", "4", 30);
    writer.write_all(b"Ay").expect("written");
    std::thread::sleep(Duration::from_secs(5));
    writer.write_all(b"q").expect("written");
    support::wait_for("the end", || child.try_wait().expect("ours"));
    place.wait_until_nothing_runs();
}
