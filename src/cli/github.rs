//! Tells a job on GitHub Actions how a run ended; does nothing anywhere else.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::exit::{say, say_error};
use crate::report::github;
use crate::report::json::{REPORT_FILE, Report};

/// Writes summary, annotations and outputs, where the job says that it wants them.
pub fn tell(report: &Report, run_dir: &Path) {
    if env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return;
    }
    github::annotations(report).iter().for_each(say);
    let path = run_dir.join(REPORT_FILE);
    append("GITHUB_STEP_SUMMARY", &github::summary(report));
    append("GITHUB_OUTPUT", &github::outputs(report, &path));
}

/// A page that cannot be written changes no verdict.
fn append(variable: &str, text: &str) {
    let Some(path) = env::var_os(variable) else { return };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        say_error(&format_args!("{variable}: {}: {error}", Path::new(&path).display()));
    }
}
