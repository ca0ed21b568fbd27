//! Numbers, spans, moments and foreign texts as pages write them.
//!
//! Every text that somebody else has chosen goes through [`Text`]: bounded, and with what is not visible as an escape. The
//! templates escape it for HTML besides.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use askama::Template;
use askama::filters::HtmlSafe;

use crate::foreign::neutral;
use crate::limits::{PAGE_CELL_CHARS_MAX, PAGE_TITLE_CHARS_MAX};

/// A foreign text in a cell, and more of it for who points at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(
    source = r#"{% if title.is_empty() %}{{ shown }}{% else %}<span title="{{ title }}">{{ shown }}</span>{% endif %}"#,
    ext = "html"
)]
pub(super) struct Text {
    /// Cut.
    pub(super) shown: String,
    /// Empty if `shown` is all of it.
    pub(super) title: String,
}

/// A moment: relative to now, and exactly.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"<time{% if !exact.is_empty() %} datetime="{{ exact }}" title="{{ exact }}"{% endif %}>{{ relative }}</time>"#,
    ext = "html"
)]
pub(super) struct Moment {
    /// "3 min ago", "in 12 s".
    pub(super) relative: String,
    /// As in RFC 3339, UTC; empty if the number is no date.
    pub(super) exact: String,
}

// Both are templates, so what they write is escaped already.
impl HtmlSafe for Text {}
impl HtmlSafe for Moment {}

impl Text {
    /// Cut at its end.
    pub(super) fn cell(text: &str) -> Self {
        Self::cut(text, PAGE_CELL_CHARS_MAX)
    }

    /// Cut in its middle: both ends of an id tell it from others.
    pub(super) fn id(text: &str) -> Self {
        const HALF: usize = 16;
        let whole = cut(text, PAGE_TITLE_CHARS_MAX);
        let chars: Vec<char> = whole.chars().collect();
        if chars.len() <= 2 * HALF + 1 {
            return Self { shown: whole, title: String::new() };
        }
        let (start, end) = (&chars[..HALF], &chars[chars.len() - HALF..]);
        Self { shown: start.iter().chain(&['…']).chain(end).collect(), title: whole }
    }

    /// Cut at this many characters.
    pub(super) fn cut(text: &str, chars_max: usize) -> Self {
        let shown = cut(text, chars_max);
        let is_all = !shown.ends_with('…');
        let title = if is_all { String::new() } else { cut(text, PAGE_TITLE_CHARS_MAX.max(chars_max)) };
        Self { shown, title }
    }
}

/// The text with what is not visible as escapes, at most this many characters of it. Line breaks are escaped as well.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let end = text.char_indices().nth(chars_max).map_or(text.len(), |(end, _)| end);
    let shown = neutral(&text[..end]).replace('\n', "\\n");
    // An escape is longer than what it stands for.
    match shown.char_indices().nth(chars_max) {
        Some((escaped_end, _)) => format!("{}…", &shown[..escaped_end]),
        None if end < text.len() => format!("{shown}…"),
        None => shown,
    }
}

/// A number with separators: `31,204`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number and what is counted: "1 job", "31,204 jobs".
pub(super) fn count(many: u64, one: &str, more: &str) -> String {
    format!("{} {}", number(many), if many == 1 { one } else { more })
}

/// A rate: `0.4`, `12`, `31,204` a second.
pub(super) fn rate(per_second: f64) -> String {
    let rate = per_second.abs();
    if rate < 9.95 { format!("{rate:.1}") } else { number(rate.round() as u64) }
}

/// A span with two units at most: `340 ms`, `12 s`, `1 h 12 min`, `3 d 4 h`.
pub(super) fn span(seconds: f64) -> String {
    // What is no number counts as none.
    let seconds = seconds.max(0.0);
    if seconds < 0.9995 {
        return format!("{:.0} ms", seconds * 1e3);
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round().min(1e15) as u64;
    let (first, first_unit, rest, second_unit) = match whole {
        ..60 => return format!("{whole} s"),
        60..3_600 => (whole / 60, "min", whole % 60, "s"),
        3_600..86_400 => (whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => (whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    };
    match rest {
        0 => format!("{} {first_unit}", number(first)),
        _ => format!("{} {first_unit} {rest} {second_unit}", number(first)),
    }
}

/// Bytes: `512 B`, `8.2 KiB`, `8.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        ..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

impl Moment {
    /// The moment `at`, seen from `now`; both Unix seconds.
    pub(super) fn of(at: f64, now: f64) -> Self {
        let away = at - now;
        let long = coarse(away.abs());
        let relative = match away {
            _ if !away.is_finite() => "never".to_owned(),
            away if away.abs() < 1.0 => "now".to_owned(),
            away if away < 0.0 => format!("{long} ago"),
            _ => format!("in {long}"),
        };
        // Anyone may have written the number.
        let date = OffsetDateTime::from_unix_timestamp(at as i64).ok().filter(|_| at.is_finite());
        Self { relative, exact: date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_default() }
    }
}

/// A span in its largest unit.
fn coarse(seconds: f64) -> String {
    match seconds {
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7_170.0 => format!("{:.0} min", s / 60.0),
        s if s < 171_000.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{} d", number((s / 86_400.0).round() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            [0, 7, 999, 1_000, 31_204, u64::MAX].map(number),
            ["0", "7", "999", "1,000", "31,204", "18,446,744,073,709,551,615"]
        );
        assert_eq!([0.04, 0.44, -12.4, 31_204.4].map(rate), ["0.0", "0.4", "12", "31,204"]);
        assert_eq!([0, 999, 8_400, 8_388_608].map(bytes), ["0 B", "999 B", "8.2 KiB", "8.0 MiB"]);
        let spans = [-1.0, f64::NAN, 0.34, 4.25, 59.6, 72.0, 4_320.0, 7_200.0, 273_600.0].map(span);
        assert_eq!(
            spans,
            ["0 ms", "0 ms", "340 ms", "4.2 s", "1 min", "1 min 12 s", "1 h 12 min", "2 h", "3 d 4 h"]
        );
    }

    #[test]
    fn moments_are_relative_and_exact() {
        let moment = Moment::of(1_795_299_903.7, 1_795_300_083.0);
        assert_eq!((&*moment.relative, &*moment.exact), ("3 min ago", "2026-11-21T22:25:03Z"));
        assert_eq!(Moment::of(112.0, 100.0).relative, "in 12 s");
        let wild = [f64::NAN, f64::INFINITY, 1e300].map(|at| Moment::of(at, 0.0).exact);
        assert_eq!(wild, ["", "", ""]);
    }

    #[test]
    fn foreign_texts_are_bounded_and_show_what_would_not_be_seen() {
        let text = Text::cell("a\u{202e}b\u{1b}[2J\nc");
        assert_eq!((&*text.shown, &*text.title), ("a\\u{202e}b\\u{1b}[2J\\nc", ""));
        let long = Text::cell(&"é".repeat(10_000));
        assert_eq!(long.shown.chars().count(), PAGE_CELL_CHARS_MAX + 1);
        assert_eq!(long.title.chars().count(), PAGE_TITLE_CHARS_MAX + 1);
        let escapes = Text::cell(&"\u{202e}".repeat(10_000));
        assert!(escapes.shown.chars().count() <= PAGE_CELL_CHARS_MAX + 1, "{escapes:?}");
        let id = Text::id(&format!("entry:{}-7", "0".repeat(60)));
        assert_eq!(id.shown, "entry:0000000000…00000000000000-7");
        assert_eq!(Text::id("0d655a187e214821"), Text { shown: "0d655a187e214821".into(), title: "".into() });
    }
}
