//! From a path to its JSON.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use thiserror::Error;

use super::{cron, fleet, history, job, jobs};
use crate::web::pages::{Ask, AskError, Desk, DeskError};

/// What all paths begin with.
const ROOT: &str = "/api/v1";

/// Describes all of them.
const OPENAPI: &str = include_str!("openapi.json");

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    OpenApi,
    Summary,
    Queues,
    Processes,
    Cron,
    Pauses,
    History,
    Groups,
    Why,
    Jobs,
    Job,
}

/// Each route after [`ROOT`]; a part in braces stands for any text.
const ROUTES: [(&str, Route); 11] = [
    ("/openapi.json", Route::OpenApi),
    ("/summary", Route::Summary),
    ("/queues", Route::Queues),
    ("/processes", Route::Processes),
    ("/cron", Route::Cron),
    ("/pauses", Route::Pauses),
    ("/history", Route::History),
    ("/groups/{place}", Route::Groups),
    ("/why/{jid}", Route::Why),
    ("/jobs/{place}", Route::Jobs),
    ("/jobs/id/{jid}", Route::Job),
];

/// Why something is not answered.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    /// There is no such path.
    #[error("no such path: /api/v1/openapi.json describes those that there are")]
    Path,
    /// No job is called this, as far as was looked.
    #[error("no job {jid} is in {searched}, and no process says that it runs it")]
    Job {
        /// Its id.
        jid: String,
        /// Where it was looked for.
        searched: String,
    },
    /// It asks for what cannot be.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It was not read from Redis.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// It cannot be written. What is written here always can.
    #[error("the answer cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// An error, as clients see it.
#[derive(Serialize)]
pub(crate) struct Refusal<'e> {
    error: &'e str,
}

impl<'e> Refusal<'e> {
    pub(crate) const fn of(error: &'e str) -> Self {
        Self { error }
    }
}

impl ApiError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Job { .. } => StatusCode::NOT_FOUND,
            Self::Ask(_) => StatusCode::BAD_REQUEST,
            Self::Desk(DeskError::Cluster) => StatusCode::NOT_IMPLEMENTED,
            Self::Desk(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn said(&self) -> String {
        match self {
            Self::Desk(error @ (DeskError::Cluster | DeskError::Busy)) => error.to_string(),
            Self::Desk(error) => format!("redis: {error}"),
            other => other.to_string(),
        }
    }
}

/// Whether a path is one of the API, or would be.
pub(crate) fn is_at(path: &str) -> bool {
    path.strip_prefix("/api").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers it, with JSON on one line.
pub(crate) async fn answer(desk: &Desk, path: &str, query: &str) -> (StatusCode, Bytes) {
    match found(desk, path, query).await {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => {
            tracing::debug!(%error, "web: the api does not answer");
            // Texts always are JSON.
            let mut body = serde_json::to_vec(&Refusal::of(&error.said())).unwrap_or_default();
            body.push(b'\n');
            (error.status(), body.into())
        }
    }
}

async fn found(desk: &Desk, path: &str, query: &str) -> Result<Bytes, ApiError> {
    let (route, part) = route(path).ok_or(ApiError::Path)?;
    let ask = Ask::read(query)?;
    if matches!(route, Route::OpenApi | Route::Summary | Route::Queues | Route::Processes | Route::Pauses) {
        ask.only(&[])?;
    }
    let body = match route {
        Route::OpenApi => return Ok(Bytes::from_static(OPENAPI.as_bytes())),
        Route::Summary => fleet::summary(desk).await?,
        Route::Queues => fleet::queues(desk).await?,
        Route::Processes => fleet::processes(desk).await?,
        Route::Pauses => fleet::pauses(desk).await?,
        Route::History => history::history(desk, &ask).await?,
        Route::Groups => jobs::groups(desk, part, &ask).await?,
        Route::Why => job::why(desk, part, &ask).await?,
        Route::Cron => cron::list(desk, &ask).await?,
        Route::Jobs => jobs::list(desk, part, &ask).await?,
        Route::Job => job::show(desk, part, &ask).await?,
    };
    Ok(body.into())
}

/// The route of a path, and what stands in the place of its braces.
fn route(path: &str) -> Option<(Route, &str)> {
    let path = path.strip_prefix(ROOT)?;
    ROUTES.iter().find_map(|(template, route)| {
        let Some((before, _)) = template.split_once('{') else {
            return (*template == path).then_some((*route, ""));
        };
        let part = path.strip_prefix(before)?;
        (!part.is_empty() && !part.contains('/')).then_some((*route, part))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_path_leads_to_its_route_or_nowhere() {
        for (path, expected) in [
            ("/api/v1/summary", Some((Route::Summary, ""))),
            ("/api/v1/jobs/dead", Some((Route::Jobs, "dead"))),
            ("/api/v1/jobs/id/entry:1-2", Some((Route::Job, "entry:1-2"))),
            ("/api/v1/jobs/id", Some((Route::Jobs, "id"))),
            ("/api/v1/jobs/id/", None),
            ("/api/v1/openapi.json", Some((Route::OpenApi, ""))),
            ("/api/v1", None),
            ("/api/v1/", None),
            ("/api/v1/summary/", None),
            ("/api/v1/jobs/", None),
            ("/api/v1/jobs/a/b", None),
            ("/api/v2/summary", None),
        ] {
            assert_eq!(route(path), expected, "{path}");
            assert!(is_at(path), "{path}");
        }
        for path in ["/", "/apis", "/v1/summary"] {
            assert!(!is_at(path), "{path}");
        }
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(described["openapi"], "3.1.0");
        let described: BTreeSet<&str> =
            described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routes: Vec<String> = ROUTES.iter().map(|(path, _)| format!("{ROOT}{path}")).collect();
        assert_eq!(described, routes.iter().map(String::as_str).collect());
    }

    #[test]
    fn an_error_says_whose_it_is_and_a_status_what_to_do() {
        for (error, status, said) in [
            (ApiError::Path, 404, "no such path: /api/v1/openapi.json describes those that there are"),
            (DeskError::Busy.into(), 503, "too many requests are being answered at the same time; ask again"),
            (
                DeskError::Late(std::time::Duration::from_millis(900)).into(),
                503,
                "redis: it took more than 900 ms",
            ),
            (
                DeskError::Cluster.into(),
                501,
                "pages do not show a redis cluster; ask `jiggler-uring top`, `jobs` and `show`",
            ),
            (AskError::Many.into(), 400, "this address has more than 16 parameters"),
        ] {
            assert_eq!((error.status().as_u16(), error.said().as_str()), (status, said));
        }
    }
}
