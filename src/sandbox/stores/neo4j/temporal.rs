//! Dates, times and durations: read from their text, written as Neo4j writes them.

use std::fmt;

use jiff::civil;

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// A time of day with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Nanoseconds since midnight.
    pub nanos: i64,
    /// Seconds east of Greenwich.
    pub offset: i64,
}

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalDateTime {
    /// Seconds since 1970 as if in Greenwich.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanos: i64,
}

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime {
    /// What a clock there shows.
    pub local: LocalDateTime,
    /// Seconds east of Greenwich.
    pub offset: i64,
    /// Name of its zone, where it has one.
    pub zone: Option<String>,
}

/// A span of time, whose parts are not turned into each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Duration {
    /// Months.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds of the second, never negative.
    pub nanos: i64,
}

/// A date in days since 1970; years of more than four digits carry a sign.
pub fn read_date(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = digits.split('-');
    let year: i64 = number(parts.next()?, 4..=9)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2..=2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2..=2))?;
    let exists =
        (1..=12).contains(&month) && (1..=days_of_month(sign * year, month)).contains(&day);
    (exists && parts.next().is_none()).then(|| days_of(sign * year, month, day))
}

fn number(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let formed = length.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    formed.then(|| digits.parse().ok()).flatten()
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the proleptic Gregorian calendar.
/// <https://howardhinnant.github.io/date_algorithms.html>
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// A date as it is written.
pub fn write_date(days: i64) -> String {
    let (year, month, day) = date_of(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    };
    format!("{year}-{month:02}-{day:02}")
}

/// A time of day in nanoseconds since midnight.
pub fn read_local_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once(['.', ',']).map_or((text, None), |(c, f)| (c, Some(f)));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2..=2).filter(|hour| *hour < 24)?;
    let minute = parts.next().map_or(Some(0), |part| number(part, 2..=2)).filter(|m| *m < 60)?;
    let seconds = parts.next();
    let second = seconds.map_or(Some(0), |part| number(part, 2..=2)).filter(|s| *s < 60)?;
    if parts.next().is_some() || (fraction.is_some() && seconds.is_none()) {
        return None;
    }
    let nanos = fraction.map_or(Some(0), fraction_nanos)?;
    Some(((hour * 60 + minute) * 60 + second) * SECOND + nanos)
}

fn fraction_nanos(digits: &str) -> Option<i64> {
    number(digits, 1..=9)?;
    format!("{digits:0<9}").parse().ok()
}

/// A time of day as it is written.
pub fn write_local_time(nanos: i64) -> String {
    let (seconds, fraction) = (nanos / SECOND, nanos % SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:09}").trim_end_matches('0').to_owned()
    };
    format!("{hour:02}:{minute:02}:{second:02}{fraction}")
}

fn read_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut parts = text[1..].split(':');
    let hours = number(parts.next()?, 2..=2).filter(|hours| *hours <= 18)?;
    let minutes = parts.next().map_or(Some(0), |part| number(part, 2..=2)).filter(|m| *m < 60)?;
    let seconds = parts.next().map_or(Some(0), |part| number(part, 2..=2)).filter(|s| *s < 60)?;
    parts.next().is_none().then_some(sign * ((hours * 60 + minutes) * 60 + seconds))
}

fn write_offset(offset: i64) -> String {
    if offset == 0 {
        return "Z".into();
    }
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let seconds = if offset % 60 == 0 { String::new() } else { format!(":{:02}", offset % 60) };
    format!("{sign}{:02}:{:02}{seconds}", offset / 3600, offset / 60 % 60)
}

/// Where the offset begins in a text that ends in one.
fn offset_at(text: &str) -> Option<usize> {
    let time = text.find('T').unwrap_or(0);
    text[time..].find(['Z', 'z', '+', '-']).map(|at| time + at)
}

impl Time {
    /// Reads `12:30:00+05:30`.
    pub fn read(text: &str) -> Option<Self> {
        let (time, offset) = offset_at(text).map_or((text, "Z"), |at| text.split_at(at));
        Some(Self { nanos: read_local_time(time)?, offset: read_offset(offset)? })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", write_local_time(self.nanos), write_offset(self.offset))
    }
}

impl LocalDateTime {
    /// Reads `2026-01-01T00:00:00.5`.
    pub fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T').map_or((text, "00"), |(date, time)| (date, time));
        let nanos = read_local_time(time)?;
        let seconds = read_date(date)? * DAY_SECONDS + nanos / SECOND;
        Some(Self { seconds, nanos: nanos % SECOND })
    }
}

impl fmt::Display for LocalDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = write_date(self.seconds.div_euclid(DAY_SECONDS));
        let time = self.seconds.rem_euclid(DAY_SECONDS) * SECOND + self.nanos;
        write!(f, "{date}T{}", write_local_time(time))
    }
}

impl DateTime {
    /// Reads `2026-06-01T12:00:00+02:00[Europe/Berlin]`, with an offset, a zone, or both.
    pub fn read(text: &str) -> Option<Self> {
        let (text, zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((text, zone)) => (text, Some(zone)),
            None => (text, None),
        };
        let (local, offset) = match offset_at(text) {
            Some(at) => (&text[..at], Some(read_offset(&text[at..])?)),
            None => (text, None),
        };
        let local = LocalDateTime::read(local)?;
        match (zone, offset) {
            (None, offset) => Some(Self { local, offset: offset.unwrap_or(0), zone: None }),
            (Some(zone), Some(offset)) => Some(Self { local, offset, zone: Some(zone.to_owned()) }),
            (Some(zone), None) => Self::in_zone(local, zone),
        }
    }

    /// A moment by the clocks of a zone; none when this machine does not know the zone.
    pub fn in_zone(local: LocalDateTime, zone: &str) -> Option<Self> {
        let known = jiff::tz::TimeZone::get(zone).ok()?;
        let clock = civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let clock = clock.checked_add(jiff::SignedDuration::from_secs(local.seconds)).ok()?;
        let moment = known.to_zoned(clock).ok()?;
        let offset = i64::from(moment.offset().seconds());
        Some(Self { local, offset, zone: Some(zone.to_owned()) })
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.local, write_offset(self.offset))?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "[{zone}]"))
    }
}

impl Duration {
    /// Reads `P1Y2M3W4DT5H6M7.5S`; every part may have a sign.
    pub fn read(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('P')?;
        let (mut duration, mut nanos) = (Self::default(), 0_i128);
        let (mut of_day, mut any) = (false, false);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('T').filter(|_| !of_day) {
                (of_day, rest, any) = (true, after, false);
                continue;
            }
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let (digits, unit) = (&rest[..end], &rest[end..=end]);
            rest = &rest[end + 1..];
            any = true;
            let whole = || digits.parse::<i64>().ok();
            let add =
                |sum: i64, unit: i64| whole().and_then(|n| sum.checked_add(n.checked_mul(unit)?));
            match (of_day, unit) {
                (false, "Y") => duration.months = add(duration.months, 12)?,
                (false, "M") => duration.months = add(duration.months, 1)?,
                (false, "W") => duration.days = add(duration.days, 7)?,
                (false, "D") => duration.days = add(duration.days, 1)?,
                (true, "H") => nanos += i128::from(whole()?) * 3600 * i128::from(SECOND),
                (true, "M") => nanos += i128::from(whole()?) * 60 * i128::from(SECOND),
                (true, "S") => nanos += seconds_nanos(digits)?,
                _ => return None,
            }
        }
        let second = i128::from(SECOND);
        duration.seconds = i64::try_from(nanos.div_euclid(second)).ok()?;
        duration.nanos = nanos.rem_euclid(second) as i64;
        any.then_some(duration)
    }
}

fn seconds_nanos(digits: &str) -> Option<i128> {
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let negative = whole.starts_with('-');
    let whole = i128::from(whole.parse::<i64>().ok()?) * i128::from(SECOND);
    let fraction = i128::from(fraction.map_or(Some(0), fraction_nanos)?);
    Some(if negative { whole - fraction } else { whole + fraction })
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        let mut part = |number: i64, unit: char| {
            if number == 0 { Ok(()) } else { write!(f, "{number}{unit}") }
        };
        part(self.months / 12, 'Y')?;
        part(self.months % 12, 'M')?;
        part(self.days, 'D')?;
        if self.seconds == 0 && self.nanos == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        // The same with one sign for both, to be written.
        let total = i128::from(self.seconds) * i128::from(SECOND) + i128::from(self.nanos);
        let second = i128::from(SECOND);
        let (seconds, nanos) = (total / second, (total % second).abs());
        let mut part = |number: i128, unit: char| {
            if number == 0 { Ok(()) } else { write!(f, "{number}{unit}") }
        };
        part(seconds / 3600, 'H')?;
        part(seconds / 60 % 60, 'M')?;
        let rest = seconds % 60;
        if rest == 0 && nanos == 0 {
            return Ok(());
        }
        let sign = if total < 0 && rest == 0 { "-" } else { "" };
        let fraction = format!(".{nanos:09}");
        let fraction = if nanos == 0 { "" } else { fraction.trim_end_matches('0') };
        write!(f, "{sign}{rest}{fraction}S")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_day_reads_back(days in -365_000_000_i64..365_000_000) {
            prop_assert_eq!(read_date(&write_date(days)), Some(days));
        }

        #[test]
        fn every_time_and_duration_reads_back(
            nanos in 0..DAY_SECONDS * SECOND,
            offset in -64_800_i64..=64_800,
            months in any::<i32>(), days in any::<i32>(), seconds in any::<i32>(),
        ) {
            let time = Time { nanos, offset };
            prop_assert_eq!(Time::read(&time.to_string()), Some(time));
            let nanos = nanos % SECOND;
            let (months, days, seconds) = (months.into(), days.into(), seconds.into());
            let duration = Duration { months, days, seconds, nanos };
            prop_assert_eq!(Duration::read(&duration.to_string()), Some(duration), "{}", duration);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+PTZYMWDHS0-9:.,\\[\\]a-z/é]{0,20}") {
            let _ = (read_date(&text), read_local_time(&text), Time::read(&text));
            let _ = (LocalDateTime::read(&text), DateTime::read(&text), Duration::read(&text));
        }
    }

    #[test]
    fn they_are_written_as_neo4j_writes_them() {
        for date in ["2026-02-28", "-0044-03-15", "+10000-01-01", "0000-02-29", "1969-12-31"] {
            assert_eq!(write_date(read_date(date).expect(date)), date);
        }
        assert_eq!(read_date("1970-01-01"), Some(0));
        assert!(read_date("2026-02-29").is_none() && read_date("2026-13-01").is_none());
        let datetimes = [
            "2026-06-01T12:00:00.5+02:00",
            "2026-06-01T12:00:00+02:00[Europe/Berlin]",
            "2026-06-01T12:00:00Z",
        ];
        for text in datetimes {
            assert_eq!(DateTime::read(text).expect(text).to_string(), text);
        }
        let local = "2026-01-01T00:00:00.000000001";
        assert_eq!(LocalDateTime::read(local).expect(local).to_string(), local);
        assert_eq!(
            write_local_time(read_local_time("23:59:59.999999999").expect("a time")),
            "23:59:59.999999999"
        );
        let durations =
            ["P1Y2M3DT4.000000005S", "PT0S", "P-1D", "PT-0.5S", "PT1H1M1S", "PT-1M-1.5S"];
        for text in durations {
            assert_eq!(Duration::read(text).expect(text).to_string(), text);
        }
        assert_eq!(Duration::read("P14M1W").expect("read").to_string(), "P1Y2M7D");
        assert!(Duration::read("P").is_none() && Duration::read("PT").is_none());
    }
}
