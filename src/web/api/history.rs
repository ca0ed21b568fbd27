//! `history`: what became of jobs, as `history --json` prints it.

use serde::Serialize;

use super::answer::ApiError;
use crate::limits::{API_HISTORY_ROWS_MAX, HISTORY_DAYS_KEPT, HISTORY_HOURS_KEPT, HISTORY_MINUTES_KEPT};
use crate::view::filter::NamePattern;
use crate::view::history::{History, Span};
use crate::web::pages::{Ask, Desk};
use crate::wire::history::Grain;

/// Each grain by its word.
const GRAINS: [(&str, Grain); 3] = [("minute", Grain::Minute), ("hour", Grain::Hour), ("day", Grain::Day)];

/// Seconds that are shown if the address names none, as the command does.
const SINCE: u64 = 24 * 3600;

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    history: History,
    /// Rows by queue and class that are not here, of the oldest slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOut>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct LeftOut {
    rows: usize,
}

pub(super) async fn history(desk: &Desk, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    ask.only(&["since", "by", "queue", "class"])?;
    let since = ask.number("since", HISTORY_DAYS_KEPT.as_secs())?.unwrap_or(SINCE);
    let grain = ask.choice("by", &GRAINS)?.unwrap_or_else(|| Span::grain_of(since));
    let kept = match grain {
        Grain::Minute => HISTORY_MINUTES_KEPT,
        Grain::Hour => HISTORY_HOURS_KEPT,
        Grain::Day => HISTORY_DAYS_KEPT,
    };
    let queue = ask.text("queue").map(str::to_owned);
    let class = ask.text("class").map(NamePattern::parse);
    // What is read is kept for a moment, whatever is shown of it.
    let read = Span { grain, since: since.min(kept.as_secs()), queue: None, class: None };
    let slices = desk.history(&read).await?;
    let mut history = History::of(&Span { queue, class, ..read }, &slices);
    let left_out = cut(&mut history).map(|rows| LeftOut { rows });
    let mut body = serde_json::to_vec(&Answer { history, left_out }).map_err(std::io::Error::from)?;
    body.push(b'\n');
    Ok(body)
}

/// Leaves out rows of the oldest slices, so that no more than [`API_HISTORY_ROWS_MAX`] are left; the totals stay. Returns
/// how many, if any.
fn cut(history: &mut History) -> Option<usize> {
    let (mut room, mut left_out) = (API_HISTORY_ROWS_MAX, 0);
    for slice in history.slices.iter_mut().rev() {
        if slice.rows.len() > room {
            left_out += slice.rows.len();
            slice.rows.clear();
            // None that is older has any, or the past would have holes.
            room = 0;
        }
        room -= slice.rows.len();
    }
    (left_out > 0).then_some(left_out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::history::Slice;

    #[test]
    fn rows_of_the_oldest_slices_are_left_out_and_their_totals_stay() {
        let span = Span { grain: Grain::Hour, since: 7_200, queue: None, class: None };
        let slice = |rows: usize| {
            let mut slice = Slice::default();
            for number in 0..rows {
                slice.rows.entry(("q".into(), number.to_string().into())).or_default();
            }
            slice
        };
        let cut_of = |sizes: &[usize]| {
            let slices: BTreeMap<u64, Slice> = (1..).zip(sizes.iter().map(|rows| slice(*rows))).collect();
            let mut history = History::of(&span, &slices);
            let left_out = cut(&mut history);
            (left_out, history.slices.iter().map(|slice| slice.rows.len()).collect::<Vec<_>>())
        };
        let most = API_HISTORY_ROWS_MAX;
        assert_eq!(cut_of(&[1, most - 1]), (None, vec![1, most - 1]));
        assert_eq!(cut_of(&[1, 2, most - 1]), (Some(3), vec![0, 0, most - 1]));
        assert_eq!(cut_of(&[1, most + 1]), (Some(most + 2), vec![0, 0]));
        assert_eq!(cut_of(&[]), (None, Vec::new()));
    }
}
