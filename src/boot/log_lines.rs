//! How a line of the log looks: as text for people, or as JSON for machines.
//!
//! Text is `TIME LEVEL message key=value …`: a value with a blank is quoted, whatever kind it is, so that a line can be
//! taken apart at its blanks. JSON is one object with all of it on top, each key once: a field called like one of the line's
//! own gets an underscore at its end.
//!
//! A line that a job's handler writes ends with `job`, `jid` and `queue`, except those that it names itself.

use std::fmt::{self, Write};
use std::sync::Arc;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::foreign::{Foreign, neutral};
use crate::stats::here::{self, JobHere};

/// The field that has lines of its own, below the others.
pub(crate) const BACKTRACE: &str = "backtrace";

/// Lines for people.
pub(super) struct TextLines;

/// Lines for machines.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let colour = writer.has_ansi_escapes();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level();
        if colour {
            write!(writer, "\u{1b}[2m{time}\u{1b}[0m \u{1b}[{}m{level:>5}\u{1b}[0m", colour_of(*level))?;
        } else {
            write!(writer, "{time} {level:>5}")?;
        }
        for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
            let fields = span.extensions();
            let fields = fields.get::<FormattedFields<N>>().map_or("", |fields| &fields.fields);
            write!(writer, " {}{{{fields}}}:", span.name())?;
        }
        let mut fields =
            TextFields { writer: writer.by_ref(), colour, result: Ok(()), backtrace: String::new() };
        event.record(&mut fields);
        for (key, value) in context(event).iter().flat_map(Context::members) {
            fields.value(key, &format!("{value:?}"));
        }
        let TextFields { result, backtrace, .. } = fields;
        result?;
        writeln!(writer)?;
        backtrace.lines().try_for_each(|line| writeln!(writer, "    {}", neutral(line)))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut line = Members::default();
        line.add("timestamp", time.into());
        line.add("level", metadata.level().as_str().into());
        // Known from the start, though it comes last.
        line.reserve("target");
        let spans: Vec<Value> = ctx
            .event_scope()
            .into_iter()
            .flat_map(Scope::from_root)
            .map(|span| {
                let fields = span.extensions();
                let fields = fields.get::<FormattedFields<N>>().map_or("", |fields| &fields.fields);
                let mut members: serde_json::Map<_, _> = serde_json::from_str(fields).unwrap_or_default();
                if let Some(name) = members.insert("name".to_owned(), span.name().into()) {
                    members.insert("name_".to_owned(), name);
                }
                Value::Object(members)
            })
            .collect();
        if !spans.is_empty() {
            line.reserve("spans");
        }
        event.record(&mut JsonFields(&mut line));
        for (key, value) in context(event).iter().flat_map(Context::members) {
            line.add(key, value.into());
        }
        line.fill("target", metadata.target().into());
        line.fill("spans", Value::Array(spans));
        writeln!(writer, "{}", line.to_json())
    }
}

/// What a line says about the job whose handler writes it.
struct Context {
    job: Arc<JobHere>,
    /// Which of its members the line names itself.
    own: [bool; 3],
}

const CONTEXT: [&str; 3] = ["job", "jid", "queue"];

fn context(event: &Event<'_>) -> Option<Context> {
    let own = CONTEXT.map(|key| event.metadata().fields().field(key).is_some());
    Some(Context { job: here::job()?, own })
}

impl Context {
    fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let JobHere { name, jid, queue } = &*self.job;
        let values = [name, jid, queue].map(String::as_str);
        let members = CONTEXT.into_iter().zip(values).zip(self.own);
        members.filter_map(|(member, own)| (!own).then_some(member))
    }
}

fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// A field as text: bounded, and safe for a terminal, because its value may be of outside origin.
pub(super) fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let colour = writer.has_ansi_escapes();
    write_value(writer, colour, field.name(), &format!("{value:?}"))
}

fn write_value(out: &mut dyn Write, colour: bool, name: &str, text: &str) -> fmt::Result {
    if name == "message" {
        return write!(out, "{}", Foreign::text(text));
    }
    if colour {
        write!(out, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
    } else {
        write!(out, "{name}=")?;
    }
    if !is_quoted(text) && (text.is_empty() || text.contains([' ', '"'])) {
        return write!(out, "\"{}\"", Foreign::text(&text.replace('\\', "\\\\").replace('"', "\\\"")));
    }
    write!(out, "{}", Foreign::text(text))
}

/// Whether it is text in quotes already: those in it are escaped.
fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| {
        let mut is_escaped = false;
        inner.chars().all(|character| {
            let is_fine = character != '"' || is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_fine
        }) && !is_escaped
    })
}

/// Writes each field of an event, with a blank before it.
struct TextFields<'w> {
    writer: Writer<'w>,
    colour: bool,
    result: fmt::Result,
    backtrace: String,
}

impl TextFields<'_> {
    fn value(&mut self, name: &str, text: &str) {
        if self.result.is_ok() {
            let (writer, colour) = (&mut self.writer, self.colour);
            self.result = writer.write_char(' ').and_then(|()| write_value(writer, colour, name, text));
        }
    }
}

impl Visit for TextFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            BACKTRACE => value.clone_into(&mut self.backtrace),
            name => self.value(name, &format!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.value(field.name(), &format!("{value:?}"));
    }
}

/// The members of a JSON object, in order, each key once.
#[derive(Default)]
struct Members(Vec<(String, Option<Value>)>);

impl Members {
    fn add(&mut self, key: &str, value: Value) {
        let mut key = key.to_owned();
        while self.0.iter().any(|(taken, _)| *taken == key) {
            key.push('_');
        }
        self.0.push((key, Some(value)));
    }

    /// No other may have this key.
    fn reserve(&mut self, key: &str) {
        self.0.push((key.to_owned(), None));
    }

    /// Gives a reserved key its value, at the end.
    fn fill(&mut self, key: &str, value: Value) {
        if let Some(at) = self.0.iter().position(|(taken, known)| taken == key && known.is_none()) {
            let (key, _) = self.0.remove(at);
            self.0.push((key, Some(value)));
        }
    }

    fn to_json(&self) -> String {
        let member = |(key, value): &(String, Option<Value>)| {
            Some(format!("{}:{}", Value::from(key.as_str()), value.as_ref()?))
        };
        let members: Vec<String> = self.0.iter().filter_map(member).collect();
        format!("{{{}}}", members.join(","))
    }
}

struct JsonFields<'m>(&'m mut Members);

impl Visit for JsonFields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.add(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.add(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.add(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.add(field.name(), format!("{value:?}").into());
    }
}
