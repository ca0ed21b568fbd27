//! Spans of time for people.

/// A span: `7 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A moment, this many seconds from now: "in 12 s", "3 d ago".
pub(super) fn moment(seconds: f64) -> String {
    let span = span(seconds.abs());
    if seconds < 0.0 { format!("{span} ago") } else { format!("in {span}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        let spans = [-1.0, 7.2, 119.0, 180.0, 7_199.0, 9_000.0, 500_000.0].map(span);
        assert_eq!(spans, ["0 s", "7 s", "119 s", "3 min", "120 min", "2 h", "6 d"]);
    }
}
