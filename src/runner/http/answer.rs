//! What an answer says of its job.

use std::time::Duration;

use serde::Deserialize;

use crate::foreign::neutral;
use crate::handler::{JobError, JobResult};
use crate::io::http::{StatusCode, retry_after};
use crate::limits::runner::{
    RUNNER_ANSWER_SHOWN_BYTES, RUNNER_BACKTRACE_LINES_MAX, RUNNER_HOLD, RUNNER_HOLD_MAX,
};

/// What is needed of an answer.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) verdict: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) is_json: bool,
    /// Or its start.
    pub(super) body: Vec<u8>,
}

/// What follows from it.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) result: JobResult,
    /// For how long the server wants to be left alone.
    pub(super) hold: Option<Duration>,
}

/// An error as a server may name it.
#[derive(Deserialize)]
struct Named {
    class: Option<String>,
    message: Option<String>,
    #[serde(default)]
    backtrace: Vec<String>,
}

/// Judges an answer that came at this time, in Unix seconds.
pub(super) fn judge(said: &Said, now: f64) -> Judgement {
    let pause = said.retry_after.as_deref().and_then(|text| retry_after(text, now));
    let pause = pause.map(|pause| pause.min(RUNNER_HOLD_MAX));
    let busy = matches!(said.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let (result, hold) = match (said.verdict.as_deref(), said.status) {
        (Some("done"), _) => (Ok(()), None),
        (Some("failed"), _) => (Err(said.error()), None),
        (Some("snooze"), _) => (Err(JobError::snooze(pause.unwrap_or(RUNNER_HOLD))), None),
        (Some("discard"), _) => (Err(JobError::discard(said.error())), None),
        (Some("dead"), _) => (Err(JobError::dead(said.error())), None),
        (Some(other), _) => (Err(unknown(other)), None),
        (None, status) if status.is_success() => (Ok(()), None),
        (None, StatusCode::GONE) => (Err(JobError::discard(said.error())), None),
        (None, StatusCode::CONFLICT) => (Err(JobError::dead(said.error())), None),
        (None, _) => match pause.filter(|_| busy) {
            Some(pause) => (Err(JobError::snooze(pause)), Some(pause)),
            None => (Err(said.error()), None),
        },
    };
    Judgement { result, hold }
}

fn unknown(verdict: &str) -> JobError {
    let shown: String = verdict.chars().take(RUNNER_ANSWER_SHOWN_BYTES).collect();
    let known = "done, failed, snooze, discard or dead";
    JobError::new("http::Verdict", format!("job-verdict is {known}, not {}", neutral(&shown)))
}

impl Said {
    /// The error that the body names, or what can be said without that.
    fn error(&self) -> JobError {
        let named = self.is_json.then(|| serde_json::from_slice::<Named>(&self.body).ok()).flatten();
        let class = format!("http::Status{}", self.status.as_u16());
        match named {
            Some(Named { class: named, message: Some(message), backtrace }) => {
                let error = JobError::new(named.unwrap_or(class), message);
                if backtrace.is_empty() {
                    return error;
                }
                let lines = &backtrace[..backtrace.len().min(RUNNER_BACKTRACE_LINES_MAX)];
                error.with_backtrace(lines.join("\n"))
            }
            _ => JobError::new(class, self.text()),
        }
    }

    fn text(&self) -> String {
        let status = self.status;
        let note = if status.is_redirection() { "; redirects are not followed" } else { "" };
        let start = &self.body[..self.body.len().min(RUNNER_ANSWER_SHOWN_BYTES)];
        let start = String::from_utf8_lossy(start);
        match start.trim() {
            "" => format!("answered {status}{note}"),
            start => format!("answered {status}{note}: {}", neutral(start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Verdict;

    fn said(status: u16, verdict: Option<&str>, retry_after: Option<&str>, body: &str) -> Said {
        Said {
            status: StatusCode::from_u16(status).unwrap(),
            verdict: verdict.map(str::to_owned),
            retry_after: retry_after.map(str::to_owned),
            is_json: body.starts_with('{'),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_verdict_counts_before_the_status_and_only_a_busy_server_is_left_alone() {
        let snooze = |seconds| Some(Verdict::Snooze(Duration::from_secs(seconds)));
        let table = [
            (200, None, None, None, None),
            (204, None, Some("7"), None, None),
            (500, None, Some("7"), Some(Verdict::ByPolicy), None),
            (302, None, None, Some(Verdict::ByPolicy), None),
            (429, None, None, Some(Verdict::ByPolicy), None),
            (429, None, Some("7"), snooze(7), Some(7)),
            (503, None, Some("Sun, 06 Nov 1994 08:49:37 GMT"), snooze(37), Some(37)),
            (503, None, Some("Sun, 06 Nov 1994 08:48:00 GMT"), snooze(0), Some(0)),
            (503, None, Some("soon"), Some(Verdict::ByPolicy), None),
            (503, None, Some("999999"), snooze(3_600), Some(3_600)),
            (410, None, None, Some(Verdict::Discard), None),
            (409, None, None, Some(Verdict::Dead), None),
            (500, Some("done"), None, None, None),
            (200, Some("failed"), None, Some(Verdict::ByPolicy), None),
            (200, Some("snooze"), Some("5"), snooze(5), None),
            (200, Some("snooze"), None, snooze(10), None),
            (200, Some("discard"), None, Some(Verdict::Discard), None),
            (200, Some("dead"), None, Some(Verdict::Dead), None),
            (200, Some("fine"), None, Some(Verdict::ByPolicy), None),
        ];
        for (status, verdict, retry_after, judged, hold) in table {
            let got = judge(&said(status, verdict, retry_after, ""), 784_111_740.0);
            let what = format!("{status} {verdict:?} {retry_after:?}");
            assert_eq!(got.result.err().map(|error| error.verdict()), judged, "{what}");
            assert_eq!(got.hold, hold.map(Duration::from_secs), "{what}");
        }
    }

    #[test]
    fn an_error_is_what_the_body_names_or_its_start() {
        let error = |said: Said| judge(&said, 0.0).result.unwrap_err();
        let named =
            error(said(500, None, None, r#"{"class":"NoMail","message":"full","backtrace":["a","b"]}"#));
        assert_eq!((named.class(), named.message(), named.backtrace()), ("NoMail", "full", Some("a\nb")));
        let text = error(said(500, None, None, "  oh\u{1b}[31m no  "));
        assert_eq!(text.class(), "http::Status500");
        assert!(text.message().starts_with("answered 500 Internal Server Error: oh"), "{}", text.message());
        assert!(!text.message().contains('\u{1b}'));
        let other = error(said(400, None, None, r#"{"detail": 7}"#));
        assert_eq!(other.message(), r#"answered 400 Bad Request: {"detail": 7}"#);
        let moved = error(said(302, None, None, ""));
        assert_eq!(moved.message(), "answered 302 Found; redirects are not followed");
        assert!(error(said(200, Some("fine"), None, "")).message().contains("not fine"));
    }
}
