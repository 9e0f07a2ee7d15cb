//! Every interval of the load phases as an HdrHistogram log (`.hlog`), readable by HistogramLogAnalyzer
//! and HistogramLogProcessor: response times in microseconds, one line a series and interval.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::run::event::{Event, EventBody, IntervalReport, LoadEvent};
use crate::run::journal;

/// Name of the log in the run's folder.
pub const HLOG_FILE: &str = "response_times.hlog";

/// The log of a run, streamed from its journal.
///
/// # Errors
/// When the journal cannot be read, or a histogram not written.
pub fn document(run_dir: &Path) -> io::Result<Vec<u8>> {
    let start =
        journal::first_event(run_dir).map_or(SystemTime::UNIX_EPOCH, |event| event.wall.into());
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("shakedown: response times in microseconds, tagged phase.scenario.step");
    builder.with_start_time(start).with_base_time(start);
    // The largest value of an interval is shown in milliseconds.
    builder.with_max_value_divisor(1000.0);
    let mut log = builder.begin_log_with(&mut out, &mut serializer)?;
    let mut failed = None;
    let read = journal::for_each_event(run_dir, |event| {
        for (tag, report, histogram) in lines(&event) {
            let length = Duration::from_micros(report.length_us);
            let begin = Duration::from_micros(event.at_us).saturating_sub(length);
            let Ok(dense) = histogram.to_dense() else { continue };
            let written = log.write_histogram(&dense, begin, length, Tag::new(&tag));
            if let Err(error) = written {
                failed.get_or_insert_with(|| format!("{error:?}"));
            }
        }
    });
    read.map_err(io::Error::other)?;
    match failed {
        None => Ok(out),
        Some(error) => Err(io::Error::other(error)),
    }
}

type Line<'a> = (String, &'a IntervalReport, &'a crate::run::histogram::Histogram);

fn lines(event: &Event) -> Vec<Line<'_>> {
    let EventBody::Load(LoadEvent::Interval(report)) = &event.body else { return Vec::new() };
    let phase = event.phase.map_or("", |phase| phase.name());
    let line = |series: &'_ crate::run::event::SeriesInterval| {
        // A tag ends at a comma, a blank or the end of the line.
        let tag = format!("{phase}.{}.{}", series.key.scenario, series.key.step);
        tag.replace(|c: char| c == ',' || c.is_whitespace() || c.is_control(), "_")
    };
    report.series.iter().map(|one| (line(one), &**report, &one.measured.response)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PhaseKind, ServiceKind};
    use crate::run::event::{
        EVENT_VERSION, GeneratorHealth, Measurements, SeriesInterval, SeriesKey,
    };
    use crate::run::journal::Journal;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn what_is_written_is_read_by_the_library() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut journal = Journal::create(folder.path()).expect("created");
        let mut measured = Measurements::default();
        measured.response.record_us(12_000, 3);
        let key =
            SeriesKey { service: ServiceKind::Chat, scenario: "a b".into(), step: "x, y".into() };
        let report = IntervalReport {
            length_us: 1_000_000,
            users: Default::default(),
            series: vec![SeriesInterval { key, measured: measured.clone() }],
            iterations: Default::default(),
            generator: GeneratorHealth::default(),
        };
        let event = Event {
            v: EVENT_VERSION,
            seq: 1,
            at_us: 5_000_000,
            wall: jiff::Timestamp::from_second(1_795_000_000).expect("in range"),
            phase: Some(PhaseKind::Mixed),
            body: EventBody::Load(LoadEvent::Interval(Box::new(report))),
        };
        journal.append(&event, true).expect("written");
        let log = document(folder.path()).expect("a log");
        let entries: Vec<LogEntry<'_>> =
            IntervalLogIterator::new(&log).collect::<Result<_, _>>().expect("readable");
        let LogEntry::Interval(interval) = &entries[entries.len() - 1] else {
            panic!("an interval")
        };
        assert_eq!(
            interval.tag().map(|tag| tag.as_str().to_owned()),
            Some("mixed.a_b.x__y".into())
        );
        assert_eq!(interval.start_timestamp(), Duration::from_secs(4));
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(interval.encoded_histogram())
            .expect("base64");
        let read: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).expect("V2");
        assert_eq!(crate::run::histogram::Histogram::from_counts(&read), measured.response);
    }
}
