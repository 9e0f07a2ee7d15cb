//! Thin bars in tables of the HTML report.

use super::html::escape;

/// A bar of 100 by 8 over its track, with what is drawn in it; the label is what a reader without eyes for
/// it is told.
pub fn meter(label: &str, drawn: &str) -> String {
    format!(
        "<svg class=meter viewBox=\"0 0 100 8\" preserveAspectRatio=none role=img \
         aria-label=\"{}\"><rect class=track width=100 height=8 />{drawn}</svg>",
        escape(label)
    )
}

/// A share in percent as such a bar; what is below nothing or above all fills none or all of it.
pub fn share(percent: f64, class: &str) -> String {
    let width = percent.clamp(0.0, 100.0);
    let drawn = format!("<rect class=\"{class}\" width=\"{width:.2}\" height=8 />");
    meter(&format!("{percent:.1} %"), &drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_fills_no_more_than_its_track_and_is_told_in_words() {
        let bar = share(250.0, "warn");
        assert!(
            bar.contains("aria-label=\"250.0 %\"") && bar.contains("width=\"100.00\""),
            "{bar}"
        );
        assert!(share(-3.0, "ok").contains("width=\"0.00\""));
        assert!(meter("\"><script>", "").contains("aria-label=\"&quot;&gt;&lt;script&gt;\""));
    }
}
