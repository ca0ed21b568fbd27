//! The request of a job.

use super::signature::Key;
use crate::handler::Ctx;
use crate::io::http::{Client, Request};
use crate::job::amend::write_text;
use crate::runner::spec::HttpTarget;
use crate::time::unix_now;

/// The request of this job. What of it is no text becomes U+FFFD, because JSON is text.
pub(super) fn request(client: &Client, target: &HttpTarget, key: Option<&Key>, ctx: &Ctx<()>) -> Request {
    let body = body(ctx);
    let jid = &*ctx.job().jid;
    let mut request = client.post(&target.url).header("content-type", "application/json");
    if !jid.is_empty() {
        request = request.header("idempotency-key", jid);
    }
    if let Some(trace) = ctx.trace() {
        request = request.header("traceparent", &trace.to_string());
    }
    if let Some(key) = key {
        let timestamp = format!("{:.0}", unix_now().floor());
        request = request
            .header("webhook-signature", &key.sign(jid, &timestamp, &body))
            .header("webhook-timestamp", &timestamp)
            .header("webhook-id", jid);
    }
    request.body(body)
}

fn body(ctx: &Ctx<()>) -> Vec<u8> {
    let job = ctx.job();
    let args = ctx.raw_args().unwrap_or(b"[]");
    let mut out = Vec::with_capacity(args.len() + job.name.len() + 128);
    for (key, text) in [("{\"name\":", &job.name), (",\"jid\":", &job.jid), (",\"queue\":", &job.queue)] {
        out.extend_from_slice(key.as_bytes());
        write_text(&mut out, text);
    }
    out.extend_from_slice(format!(",\"attempt\":{}", job.attempt).as_bytes());
    if let Some(at) = ctx.enqueued_at() {
        out.extend_from_slice(format!(",\"enqueued_at\":{at}").as_bytes());
    }
    out.extend_from_slice(b",\"args\":");
    out.extend_from_slice(String::from_utf8_lossy(args).as_bytes());
    out.push(b'}');
    out
}
