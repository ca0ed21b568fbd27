//! The fast way: a job's members on simd-json's tape.
//!
//! Responsible for finding and reading them. Not for bytes simd-json refuses (`super::second_opinion`).

use simd_json::{Node, StaticNode, Tape};

use crate::job::args::{self, Args};
use crate::job::nodes;
use crate::job::parse::{BadPayload, FirstFailure, History, Parsed, count, wrapped};
use crate::job::schema::{Envelope, Schema};

/// Reads a job from its tape, which goes back to `home` when the job is dropped.
pub(super) fn from_tape<'p>(
    schema: Schema,
    payload: &'p [u8],
    tape: Tape<'p>,
    home: &'p mut Tape<'static>,
) -> Result<Parsed<'p>, BadPayload> {
    match read_tape(schema, &tape.0) {
        Ok((name, envelope)) => {
            let node = |at: Option<usize>| at.and_then(|at| tape.0.get(at));
            let text = |at| match node(at) {
                Some(Node::String(text)) => Some(*text),
                _ => None,
            };
            let jid = text(envelope.jid);
            let history = History {
                retries: count::retries(schema, node(envelope.retries)),
                attempt: count::attempt(schema, node(envelope.attempt)),
                first_failure: match node(envelope.first_failed_at) {
                    None | Some(Node::Static(StaticNode::Null | StaticNode::Bool(false))) => {
                        FirstFailure::Unknown
                    }
                    Some(_) => FirstFailure::Recorded,
                },
            };
            let is_set = |at| {
                !matches!(node(at), None | Some(Node::Static(StaticNode::Null | StaticNode::Bool(false))))
            };
            let rare = envelope.rare.as_deref();
            let is_for_ruby = rare.is_some_and(|rare| rare.for_ruby.into_iter().any(is_set));
            if let Some(name) = rare.and_then(|rare| text(rare.wrapped))
                && let Some(elements) = wrapped::arguments(schema, payload)
            {
                args::give_back(home, tape);
                return Ok(Parsed { name, jid, history, is_for_ruby, args: Args::raw(payload, elements) });
            }
            let args = Args::on_tape(schema, payload, tape, home, envelope.args);
            Ok(Parsed { name, jid, history, is_for_ruby, args })
        }
        Err(bad) => {
            args::give_back(home, tape);
            Err(bad)
        }
    }
}

/// Finds the members on the tape: the name, and where the nodes of the others are.
fn read_tape<'p>(schema: Schema, tape: &[Node<'p>]) -> Result<(&'p str, Envelope<usize>), BadPayload> {
    let members = match tape.first() {
        Some(Node::Object { len, .. }) => *len,
        Some(other) => return Err(BadPayload::NotAnObject { got: nodes::kind(other).into() }),
        None => return Err(BadPayload::NotJson { detail: "nothing in it".into() }),
    };
    let mut envelope = Envelope::EMPTY;
    let mut at = 1;
    for _ in 0..members {
        let (Some(Node::String(key)), Some(value)) = (tape.get(at), tape.get(at + 1)) else { break };
        if let Some(slot) = envelope.slot(schema, key) {
            *slot = Some(at + 1);
        }
        at += 1 + nodes::span(value);
    }
    let names = schema.names();
    let name = match envelope.name.and_then(|at| tape.get(at)) {
        Some(Node::String(name)) => *name,
        Some(other) => {
            return Err(BadPayload::NameNotAString { member: names.name, got: nodes::kind(other).into() });
        }
        None => return Err(BadPayload::NoName { member: names.name }),
    };
    match envelope.args.and_then(|at| tape.get(at)) {
        // `perform(*nil)` is a call without arguments in Ruby.
        None | Some(Node::Static(StaticNode::Null)) => envelope.args = None,
        Some(Node::Array { .. }) => {}
        Some(other) => {
            return Err(BadPayload::ArgsNotAnArray { member: names.args, got: nodes::kind(other).into() });
        }
    }
    Ok((name, envelope))
}
