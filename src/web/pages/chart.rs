//! Charts as SVG, drawn here: lines over time, with the numbers as a table behind them.
//!
//! A line has a gap where nothing is known. The last value is written at its end. Colours never stand alone: lines differ in
//! their dashes as well, and all of it is in the table, which is what a screen reader gets.

use std::fmt::Write as _;

use askama::Template;
use askama::filters::HtmlSafe;

/// A chart, ready to be shown.
#[derive(Debug, Template)]
#[template(path = "chart.html", config = "src/web/pages/askama.toml")]
pub(super) struct Chart {
    title: String,
    /// What its lines say last, in a sentence.
    said: String,
    /// Heights with their values, the lowest first.
    marks: Vec<(f64, String)>,
    /// What stands below, and where.
    labels: Vec<(f64, String)>,
    lines: Vec<Drawn>,
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl HtmlSafe for Chart {}

#[derive(Debug)]
struct Drawn {
    class: &'static str,
    /// The path.
    path: String,
    /// The last value: where, and what.
    end: Option<(f64, String)>,
}

/// A line to be drawn.
pub(super) struct Line {
    pub(super) name: String,
    /// As in the style sheet.
    pub(super) class: &'static str,
    /// One for each moment; `None`: nothing is known.
    pub(super) values: Vec<Option<f64>>,
}

/// Classes of lines that are told apart, by colour and by dashes.
pub(super) const SERIES: [&str; 4] = ["s0", "s1", "s2", "s3"];

// In units of the drawing, which is 1,000 wide and 180 high.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 150.0;

/// Labels below a chart.
const LABELS: usize = 6;

impl Chart {
    /// `moments`: what each is called. `said`: how values are written.
    pub(super) fn new(title: &str, moments: &[String], lines: &[Line], said: impl Fn(f64) -> String) -> Self {
        let most =
            lines.iter().flat_map(|line| &line.values).flatten().fold(0.0, |most: f64, one| most.max(*one));
        let top = nice(most);
        let x = |at: usize| LEFT + (RIGHT - LEFT) * at as f64 / moments.len().saturating_sub(1).max(1) as f64;
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * (value / top).clamp(0.0, 1.0);
        let drawn = lines.iter().map(|line| {
            let last = line.values.iter().rev().find_map(|value| *value);
            Drawn {
                class: line.class,
                path: path(&line.values, x, y),
                end: last.map(|last| (y(last), format!("{} {}", line.name, said(last)))),
            }
        });
        let mut drawn: Vec<Drawn> = drawn.collect();
        keep_apart(&mut drawn);
        let step = moments.len().div_ceil(LABELS).max(1);
        let labels = moments.iter().enumerate().step_by(step).map(|(at, moment)| (x(at), moment.clone()));
        let row = |(at, moment): (usize, &String)| {
            let value =
                |line: &Line| line.values.get(at).copied().flatten().map_or_else(|| "–".to_owned(), &said);
            std::iter::once(moment.clone()).chain(lines.iter().map(value)).collect()
        };
        let ends: Vec<&str> = drawn.iter().filter_map(|line| Some(line.end.as_ref()?.1.as_str())).collect();
        Self {
            title: title.to_owned(),
            said: if ends.is_empty() { "nothing is known".to_owned() } else { ends.join(", ") },
            marks: [0.0, 0.5, 1.0].map(|part| (y(top * part), said(top * part))).into(),
            labels: labels.collect(),
            heads: lines.iter().map(|line| line.name.clone()).collect(),
            rows: moments.iter().enumerate().map(row).collect(),
            lines: drawn,
        }
    }
}

/// Moves the words at the ends of lines apart, so that each can be read.
fn keep_apart(lines: &mut [Drawn]) {
    const HIGH: f64 = 13.0;
    let mut ends: Vec<&mut f64> =
        lines.iter_mut().filter_map(|line| Some(&mut line.end.as_mut()?.0)).collect();
    ends.sort_by(|one, other| one.total_cmp(other));
    let mut free = 0.0;
    for end in ends {
        *end = end.max(free);
        free = *end + HIGH;
    }
}

/// A path through the values that are known.
fn path(values: &[Option<f64>], x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let command = if is_drawing { 'L' } else { 'M' };
        // One that stands alone is a dot. Writing to a string does not fail.
        let _ = write!(path, "{command}{:.1} {:.1}", x(at), y(*value));
        let is_alone = !is_drawing && values.get(at + 1).is_none_or(Option::is_none);
        if is_alone {
            path.push_str("h0.1");
        }
        is_drawing = true;
    }
    path
}

/// The next of 1, 2, 5, 10, … above it.
fn nice(most: f64) -> f64 {
    if most <= 0.0 || !most.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|top| *top >= most).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_gaps_where_nothing_is_known_and_end_with_their_last_value() {
        let moments: Vec<String> = (0..5).map(|at| format!("10:0{at}")).collect();
        let values = vec![Some(0.0), Some(4.0), None, Some(5.0), None];
        let line = |name: &str, values| Line { name: name.to_owned(), class: "s0", values };
        let lines = [line("done", values), line("failed", vec![None; 5])];
        let chart = Chart::new("Jobs <a minute>", &moments, &lines, |value| format!("{value:.0}"));
        assert_eq!(chart.lines[0].path, "M70.0 150.0L272.5 39.6M677.5 12.0h0.1");
        assert_eq!((chart.lines[1].path.as_str(), &chart.lines[1].end), ("", &None));
        assert_eq!(chart.said, "done 5");
        assert_eq!(chart.rows[2], ["10:02", "–", "–"]);
        assert_eq!(chart.marks.iter().map(|(_, said)| said.as_str()).collect::<Vec<_>>(), ["0", "2", "5"]);
        let html = chart.render().unwrap();
        assert!(html.contains("Jobs &#60;a minute&#62;") && !html.contains("style="), "{html}");
        let empty = Chart::new("x", &[], &[], |_| String::new());
        assert!(empty.render().unwrap().contains("nothing is known"));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(
            [0.0, 0.3, 1.0, 1.1, 7.0, 31_204.0, f64::NAN].map(nice),
            [1.0, 0.5, 1.0, 2.0, 10.0, 50_000.0, 1.0]
        );
    }
}
