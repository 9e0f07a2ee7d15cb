//! Who was told what, and whether the platform's own alerts fired.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::html::escape;
use crate::run::state::NotifyState;

/// Who was told what.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NotifySection {
    /// Alerts that are not over at the end of the run.
    pub open: Vec<OpenAlert>,
    /// Channels by which nobody is told, and what is not set for that.
    #[serde(default)]
    pub not_configured: BTreeMap<String, String>,
    /// Deliveries that worked, by channel.
    pub delivered: BTreeMap<String, u64>,
    /// Deliveries that did not, by channel.
    pub failed: BTreeMap<String, u64>,
    /// The last of both; older ones stand in the journal.
    pub last: Vec<Delivery>,
    /// Silences that were made and ended around faults.
    #[serde(default)]
    pub silences: Vec<Silence>,
    /// Alerts of the platform's own that were waited for during chaos.
    pub platform: Vec<PlatformAlert>,
}

/// An alert that is not over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OpenAlert {
    /// Its key, the same in every run.
    pub key: String,
    /// What it says.
    pub summary: String,
    /// The level of the escalation that was reached; 0 while nobody is told.
    pub level: u32,
}

/// One message to one channel.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Name of the channel.
    pub channel: String,
    /// The alert's key.
    pub key: String,
    /// trigger or resolve.
    pub action: String,
    /// How often it was tried.
    pub tries: u32,
    /// Why it was not delivered; null when it was.
    pub error: Option<String>,
}

/// Something that was done about a silence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Name of the channel.
    pub channel: String,
    /// What was done.
    pub what: String,
    /// Whether it went wrong.
    pub failed: bool,
}

/// An alert of the platform's own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlatformAlert {
    /// Its name.
    pub alertname: String,
    /// Seconds from the first fault until it was seen; null when it was not.
    pub after_seconds: Option<f64>,
    /// What was found.
    pub evidence: String,
}

/// The section of a run.
pub fn section(notify: &NotifyState) -> NotifySection {
    let open = notify.alerts.iter().map(|(key, alert)| OpenAlert {
        key: key.clone(),
        summary: alert.summary.clone(),
        level: alert.level,
    });
    let last = notify.last.iter().map(|sent| Delivery {
        channel: sent.channel.clone(),
        key: sent.key.clone(),
        action: sent.action.to_string(),
        tries: sent.tries,
        error: sent.error.clone(),
    });
    let platform = notify.platform.iter().map(|(alertname, after_us, evidence)| PlatformAlert {
        alertname: alertname.clone(),
        after_seconds: after_us.map(|us| us as f64 / 1e6),
        evidence: evidence.clone(),
    });
    let silences = notify.silences.iter().map(|(channel, what, failed)| Silence {
        channel: channel.clone(),
        what: what.clone(),
        failed: *failed,
    });
    NotifySection {
        open: open.collect(),
        not_configured: notify.not_configured.clone(),
        delivered: notify.delivered.clone(),
        failed: notify.failed.clone(),
        last: last.collect(),
        silences: silences.collect(),
        platform: platform.collect(),
    }
}

/// The section for the HTML report.
pub fn write_html(html: &mut String, notify: &NotifySection) -> std::fmt::Result {
    let nothing = notify.open.is_empty()
        && notify.not_configured.is_empty()
        && notify.last.is_empty()
        && notify.platform.is_empty()
        && notify.silences.is_empty();
    if nothing {
        return Ok(());
    }
    html.write_str("<section><h2 id=alerts>Alerts</h2>")?;
    write_open(html, notify)?;
    write_last(html, notify)?;
    if !notify.not_configured.is_empty() {
        let all = notify.not_configured.iter();
        let all: Vec<String> = all.map(|(name, missing)| format!("{name} ({missing})")).collect();
        write!(html, "<p><small>Not configured: {}</small></p>", escape(&all.join(", ")))?;
    }
    write_during_chaos(html, notify)?;
    html.write_str("</section>")
}

fn write_open(html: &mut String, notify: &NotifySection) -> std::fmt::Result {
    for alert in &notify.open {
        let level = match alert.level {
            0 => "nobody is told yet".to_owned(),
            level => format!("level {level}"),
        };
        write!(html, "<p><span class=\"v fail\">open</span> {} ", escape(&alert.summary))?;
        write!(html, "<small>{level}, {}</small></p>", escape(&alert.key))?;
    }
    Ok(())
}

/// What was sent last.
fn write_last(html: &mut String, notify: &NotifySection) -> std::fmt::Result {
    if notify.last.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<table><thead><tr><th>channel<th>said<th>alert<th class=n>tries<th>delivered</tr>\
         </thead><tbody>",
    )?;
    for sent in &notify.last {
        let (class, became) = match &sent.error {
            None => ("pass", "yes".to_owned()),
            Some(error) => ("fail", format!("no: {error}")),
        };
        write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td class=n>{}<td class=\"v {class}\">{}</tr>",
            escape(&sent.channel),
            escape(&sent.action),
            escape(&sent.key),
            sent.tries,
            escape(&became)
        )?;
    }
    html.write_str("</tbody></table>")
}

/// Whether the platform's own alerts fired, and what was silenced meanwhile.
fn write_during_chaos(html: &mut String, notify: &NotifySection) -> std::fmt::Result {
    for alert in &notify.platform {
        let (class, seen) = match alert.after_seconds {
            Some(after) => ("pass", format!("fired after {after:.1} s")),
            None => ("fail", "did not fire".into()),
        };
        write!(
            html,
            "<p>{}: <span class=\"v {class}\">{seen}</span> <small>{}</small></p>",
            escape(&alert.alertname),
            escape(&alert.evidence)
        )?;
    }
    for silence in &notify.silences {
        let class = if silence.failed { "fail" } else { "pass" };
        let (channel, what) = (escape(&silence.channel), escape(&silence.what));
        write!(html, "<p><small>{channel}: <span class=\"v {class}\">{what}</span></small></p>")?;
    }
    Ok(())
}
