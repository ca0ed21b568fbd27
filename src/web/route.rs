//! From a request to its answer.

use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::{Body as _, Incoming};
use serde::Serialize;

use super::access::{Pass, Who};
use super::api;
use super::health::{Facts, Health, Probe};
use super::host::{is_local, is_own};
use super::metrics;
use super::negotiation::Format;
use super::pages;
use super::state::State;
use crate::limits::PAGE_FORM_BYTES_MAX;

type Answer = Response<Full<Bytes>>;

/// A whole answer, or events.
type Body = Either<Full<Bytes>, pages::Events>;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
jiggler-uring

/metrics          metrics of this process, for Prometheus; /metrics?fleet=1 with those of the fleet
/health/live      whether it makes progress
/health/ready     whether it takes jobs and Redis answers
/health/startup   whether it has started
/api/v1/…         queues, processes and jobs as JSON; /api/v1/openapi.json describes it

With a browser this address shows pages of queues, processes and jobs.
";

/// Answers one request. Never fails: what goes wrong is an answer, too.
pub(super) async fn answer(state: &State, request: Request<Incoming>) -> Response<Body> {
    let request = match without(&state.prefix, request) {
        Ok(request) => request,
        Err(elsewhere) => return (*elsewhere).map(Body::Left),
    };
    if request.method() == Method::GET && request.uri().path() == "/live" {
        return live(state, &request);
    }
    whole(state, request).await.map(Body::Left)
}

/// The request without the path under which a proxy passes it on; what is not under it stays as it is, so that others may
/// ask without the proxy. The path alone is answered by where its pages are, for their addresses are relative.
fn without<B>(prefix: &str, mut request: Request<B>) -> Result<Request<B>, Box<Answer>> {
    let Some(rest) = request.uri().path().strip_prefix(prefix).filter(|_| !prefix.is_empty()) else {
        return Ok(request);
    };
    if rest.is_empty() {
        let mut answer = text(StatusCode::PERMANENT_REDIRECT, "the pages are behind a slash\n");
        if let Ok(to) = HeaderValue::from_str(&format!("{prefix}/")) {
            answer.headers_mut().insert(header::LOCATION, to);
        }
        return Err(Box::new(last(answer)));
    }
    let inside = match request.uri().query() {
        _ if !rest.starts_with('/') => return Ok(request),
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    if let Ok(inside) = inside.parse() {
        *request.uri_mut() = inside;
    }
    Ok(request)
}

/// What changes on open pages, as events.
fn live(state: &State, request: &Request<Incoming>) -> Response<Body> {
    let field = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let refused = if state.is_loopback && !is_local(field(header::HOST)) {
        Some(Box::new(misdirected(Form::Text)))
    } else {
        admitted(state.access.pass(field(header::AUTHORIZATION)), Form::Text).err()
    };
    if let Some(refused) = refused {
        return (*refused).map(Body::Left);
    }
    let Some(events) = state.live.open(&state.desk) else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").map(Body::Left);
    };
    with_type(StatusCode::OK, "text/event-stream", Bytes::new()).map(|_| Body::Right(events))
}

fn misdirected(form: Form) -> Answer {
    let said = "the host of this request is not this server: use 127.0.0.1 or localhost\n";
    last(form.say(StatusCode::MISDIRECTED_REQUEST, said))
}

/// How what is not answered is said.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

impl Form {
    fn of(path: &str) -> Self {
        if api::is_at(path) { Self::Json } else { Self::Text }
    }

    fn say(self, status: StatusCode, said: &'static str) -> Answer {
        match self {
            Self::Text => text(status, said),
            Self::Json => json(status, &api::Refusal::of(said.trim_end())),
        }
    }
}

async fn whole(state: &State, request: Request<Incoming>) -> Answer {
    let field = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let path = request.uri().path();
    let form_of_errors = Form::of(path);
    if state.is_loopback && !is_local(field(header::HOST)) {
        return misdirected(form_of_errors);
    }
    if request.method() == Method::POST && pages::takes_form(path) {
        return match admitted(state.access.pass(field(header::AUTHORIZATION)), form_of_errors) {
            Ok(who) => form(state, request, &who).await,
            Err(refused) => last(*refused),
        };
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let said = "only GET and HEAD: here nothing is changed\n";
        let mut answer = form_of_errors.say(StatusCode::METHOD_NOT_ALLOWED, said);
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return last(answer);
    }
    if !request.body().is_end_stream() {
        return last(form_of_errors.say(StatusCode::PAYLOAD_TOO_LARGE, "no body is taken\n"));
    }
    let pass = state.access.pass(field(header::AUTHORIZATION));
    if let Some(probe) = probe(path) {
        return health(state, probe, pass).await;
    }
    let who = match admitted(pass, form_of_errors) {
        Ok(who) => who,
        Err(refused) => return *refused,
    };
    match path {
        "/metrics" => {
            let format = Format::wanted(field(header::ACCEPT));
            let fleet = state.worker.is_none() || asks_for_fleet(request.uri().query());
            match metrics::answer(state, format, fleet).await {
                Some(body) => with_type(StatusCode::OK, format.content_type(), body),
                None => text(StatusCode::SERVICE_UNAVAILABLE, "too many ask at the same time\n"),
            }
        }
        // A large future, which idle connections need not hold.
        _ if api::is_at(path) => {
            let query = request.uri().query().unwrap_or_default();
            let (status, body) = Box::pin(api::answer(&state.desk, path, query)).await;
            with_type(status, JSON, body)
        }
        _ => page(state, &request, &who).await,
    }
}

/// Who may come in, or what the others are told.
fn admitted(pass: Pass, form: Form) -> Result<Who, Box<Answer>> {
    match pass {
        Pass::Granted(who) => Ok(who),
        Pass::Refused => {
            let mut answer = form.say(StatusCode::UNAUTHORIZED, "show a token or a password of --web-auth\n");
            let schemes = HeaderValue::from_static("Basic realm=\"jiggler-uring\", Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, schemes);
            Err(Box::new(answer))
        }
        Pass::Later => {
            let mut answer =
                form.say(StatusCode::TOO_MANY_REQUESTS, "a wrong password came just before; try again\n");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Err(Box::new(answer))
        }
    }
}

/// What a page needs of a request.
fn asked<'r, B>(state: &'r State, request: &'r Request<B>, who: &'r Who) -> pages::Request<'r> {
    let field = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    pages::Request {
        who,
        tag: &state.about.tag,
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        accept: field(header::ACCEPT),
        cookie: field(header::COOKIE),
    }
}

/// A page, or what there is for programs.
async fn page(state: &State, request: &Request<Incoming>, who: &Who) -> Answer {
    let asked = asked(state, request, who);
    // A large future, which idle connections need not hold.
    match Box::pin(pages::answer(&state.desk, &asked)).await {
        Some(page) => page,
        None if asked.path == "/" => text(StatusCode::OK, INDEX),
        None => text(StatusCode::NOT_FOUND, INDEX),
    }
}

/// What a form of a page asks for.
async fn form(state: &State, request: Request<Incoming>, who: &Who) -> Answer {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let field = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !is_own(site, field(header::ORIGIN), field(header::HOST)) {
        let said = "this form was sent by a page of another site: nothing was done\n";
        return last(text(StatusCode::FORBIDDEN, said));
    }
    if field(header::CONTENT_TYPE).is_none_or(|kind| kind.get(..FORM.len()) != Some(FORM)) {
        return last(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only forms are taken\n"));
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, PAGE_FORM_BYTES_MAX).collect().await else {
        return last(text(StatusCode::PAYLOAD_TOO_LARGE, "this form is too large, or did not come whole\n"));
    };
    let body = body.to_bytes();
    let Ok(body) = std::str::from_utf8(&body) else {
        return text(StatusCode::BAD_REQUEST, "this form is not text\n");
    };
    let request = Request::from_parts(head, ());
    let asked = asked(state, &request, who);
    let answer = Box::pin(pages::answer_form(&state.desk, &asked, body)).await;
    answer.unwrap_or_else(|| text(StatusCode::NOT_FOUND, INDEX))
}

fn probe(path: &str) -> Option<Probe> {
    Some(match path {
        "/health/live" => Probe::Live,
        "/health/ready" => Probe::Ready,
        "/health/startup" => Probe::Startup,
        _ => return None,
    })
}

fn asks_for_fleet(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|part| part == "fleet=1"))
}

async fn health(state: &State, probe: Probe, pass: Pass) -> Answer {
    let health = match &state.worker {
        Some(worker) => {
            let silence = match &state.pulse {
                Some(pulse) if probe == Probe::Ready => pulse.silence().await,
                _ => None,
            };
            Facts::of(worker, silence, state.awake.time(Instant::now())).answer(probe)
        }
        // Alone it only needs Redis.
        None if probe == Probe::Ready => Health::because(
            state.fleet.look().await.err().map(|error| error.to_string()).into_iter().collect(),
        ),
        None => Health::because(Vec::new()),
    };
    let status = if health.fails() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    match pass {
        Pass::Granted(_) => json(status, &health),
        // A probe of an orchestrator cannot keep a secret; it needs no reasons.
        Pass::Refused | Pass::Later => json(status, &health.without_reasons()),
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Texts and numbers always are JSON.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    with_type(status, JSON, body.into())
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    with_type(status, TEXT, Bytes::from_static(body.as_bytes()))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The connection ends with this answer: what the client sends besides is not read.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_shown_where_it_is_asked_for() {
        for (query, expected) in
            [(None, false), (Some("fleet=1"), true), (Some("a=b&fleet=1"), true), (Some("fleet=0"), false)]
        {
            assert_eq!(asks_for_fleet(query), expected, "{query:?}");
        }
    }

    #[test]
    fn probes_have_their_paths() {
        for (path, expected) in [
            ("/health/live", Some(Probe::Live)),
            ("/health/ready", Some(Probe::Ready)),
            ("/health/startup", Some(Probe::Startup)),
            ("/health", None),
        ] {
            assert_eq!(probe(path), expected, "{path}");
        }
    }
}
