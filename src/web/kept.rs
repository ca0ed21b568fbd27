//! The latest answers to questions for metrics: each is given again for a moment, so any number of clients costs what one
//! does.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::negotiation::Format;
use crate::limits::WEB_ANSWER_AGE_MAX;

/// A question: in which format, and whether with the fleet. There are four.
pub(super) type Question = (Format, bool);

/// See the module.
#[derive(Default)]
pub(super) struct Kept(RefCell<Vec<Answer>>);

struct Answer {
    question: Question,
    at: Instant,
    body: Bytes,
}

impl Kept {
    /// The answer that was given to this question just now.
    pub(super) fn find(&self, question: Question, now: Instant) -> Option<Bytes> {
        let kept = self.0.borrow();
        let answer = kept.iter().find(|answer| answer.question == question)?;
        let age: Duration = now.saturating_duration_since(answer.at);
        (age < WEB_ANSWER_AGE_MAX).then(|| answer.body.clone())
    }

    /// Keeps an answer in place of the one before.
    pub(super) fn keep(&self, question: Question, body: Bytes, now: Instant) {
        let mut kept = self.0.borrow_mut();
        kept.retain(|answer| answer.question != question);
        kept.push(Answer { question, at: now, body });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_again_to_the_same_question_for_a_moment() {
        let (kept, start) = (Kept::default(), Instant::now());
        let question = (Format::Prometheus, false);
        assert_eq!(kept.find(question, start), None);
        kept.keep(question, Bytes::from_static(b"old"), start);
        kept.keep(question, Bytes::from_static(b"new"), start);
        let later = start + WEB_ANSWER_AGE_MAX;
        assert_eq!(kept.find(question, later - Duration::from_millis(1)), Some(Bytes::from_static(b"new")));
        assert_eq!(kept.find(question, later), None);
        assert_eq!(kept.find((Format::OpenMetrics, false), start), None);
        assert_eq!(kept.find((Format::Prometheus, true), start), None);
        assert_eq!(kept.0.borrow().len(), 1);
    }
}
