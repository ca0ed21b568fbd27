//! What clap advises about a line it cannot read, corrected: it goes by the spelling of words, and knows neither what they
//! do nor that a blank has split a list of queues.

use std::ffi::OsString;

use clap::{
    Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// Commands that cannot be undone: they are only suggested for what is almost certainly meant.
const FINAL: [&str; 3] = ["prune", "delete", "kill"];

/// Words that other job engines have for it.
const PAUSES: [&str; 4] = ["unpause", "suspend", "unquiet", "hold"];

const PAUSE: &str = "`pause queue NAME` and `resume queue NAME` stop and start a queue in the whole fleet; \
                     `quiet PROCESS` has a process take no more jobs until it is restarted";

/// The commands whose first word says what kind of thing the name after it is.
const OF_A_KIND: [&str; 4] = ["pause", "resume", "jobs", "prune"];

/// The error with advice that fits these arguments.
pub(super) fn advised(mut error: Error, args: &[OsString]) -> Error {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidValue => return with_kind(error, args),
        ErrorKind::MissingRequiredArgument => return with_places(error),
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return error };
    let word = word.clone();
    if let Some(close) = harmless(&error, &word) {
        error.remove(ContextKind::SuggestedSubcommand);
        if !close.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(close));
        }
    }
    let advice = match word.as_str() {
        word if PAUSES.contains(&word) => Some(PAUSE.to_owned()),
        "--yes" => Some("this command asks nothing: leave --yes out".to_owned()),
        word => split(word, args),
    };
    if let Some(advice) = advice {
        tip(&mut error, advice);
    }
    error
}

fn tip(error: &mut Error, advice: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(advice)]));
}

/// Which places there are, where one is missing.
fn with_places(mut error: Error) -> Error {
    let is_missing = |wanted: &str| match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().any(|name| name == wanted),
        _ => false,
    };
    const PLACES: &str = "retries, scheduled, dead, or queue with the name of a queue behind it";
    if is_missing("<PLACE>") {
        tip(&mut error, format!("PLACE is {PLACES}"));
    } else if is_missing("<WHAT>") {
        tip(&mut error, format!("WHAT is queues, failures, processed, processes, all, {PLACES}"));
    }
    error
}

/// Advice where a queue was named without the word that says it is one: `pause default`.
fn with_kind(mut error: Error, args: &[OsString]) -> Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidValue) else { return error };
    let word = word.clone();
    let Some(at) = args.iter().rposition(|arg| arg.to_str() == Some(&word)) else { return error };
    let before = at.checked_sub(1).and_then(|at| args.get(at)?.to_str());
    let Some(command) = before.filter(|before| OF_A_KIND.contains(before)) else { return error };
    if let Some(ContextValue::String(close)) = error.get(ContextKind::SuggestedValue)
        && strsim::damerau_levenshtein(close, &word) > 1
    {
        error.remove(ContextKind::SuggestedValue);
    }
    let advice = format!("if {word} is a queue: `{command} queue {word}`");
    tip(&mut error, advice);
    error
}

/// The subcommands that clap suggests, without those that cannot be undone and are not just misspelt; `None`: it suggests
/// none.
fn harmless(error: &Error, word: &str) -> Option<Vec<String>> {
    let close = match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::String(name) => vec![name.clone()],
        ContextValue::Strings(names) => names.clone(),
        _ => return None,
    };
    let fits =
        |name: &String| !FINAL.contains(&name.as_str()) || strsim::damerau_levenshtein(word, name) <= 1;
    Some(close.into_iter().filter(fits).collect())
}

/// Advice for a word that an unquoted blank has cut off: of a list of queues, or of the name of one.
fn split(word: &str, args: &[OsString]) -> Option<String> {
    let at = args.iter().rposition(|arg| arg.to_str() == Some(word))?;
    let before = |back: usize| args.get(at.checked_sub(back)?)?.to_str();
    let value = before(1)?;
    let is_flag = |text: &str| ["-q", "--queue"].contains(&text);
    let glued =
        value.strip_prefix("--queue=").or_else(|| value.strip_prefix("-q")).filter(|rest| !rest.is_empty());
    let names = match (glued, before(2)) {
        (Some(names), _) => names,
        (None, Some(flag)) if is_flag(flag) || flag == "queue" => value,
        _ => return None,
    };
    let (names, word) = (names.trim_matches('\''), word.trim_matches('\''));
    Some(format!("a queue or a list of queues with a blank needs quotes: '{names} {word}'"))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn said(line: &[&str]) -> String {
        let args = std::iter::once("jiggler-uring").chain(line.iter().copied()).map(OsString::from);
        parse(args, &|_| None).unwrap_err().to_string()
    }

    #[test]
    fn what_is_missing_is_told_with_what_it_may_be() {
        for (command, word) in [("jobs", "PLACE is retries, "), ("prune", "WHAT is queues, ")] {
            let text = said(&[command]);
            assert!(text.contains(word) && text.contains("queue with the name"), "{text}");
        }
        assert!(!said(&["show"]).contains(" is retries"));
    }

    #[test]
    fn what_cannot_be_undone_is_suggested_only_for_a_slip_of_the_keys() {
        let text = said(&["suspend", "payments"]);
        assert!(text.contains("`pause queue NAME`") && text.contains("quiet"), "{text}");
        for name in FINAL {
            assert!(!text.contains(&format!("'{name}'")), "{text}");
        }
        assert!(said(&["prun", "dead"]).contains("'prune'"));
        assert!(said(&["sumary"]).contains("'summary'"));
        assert!(
            !said(&["skill", "j"]).contains("'kill'") || strsim::damerau_levenshtein("skill", "kill") <= 1
        );
    }

    #[test]
    fn a_queue_without_the_word_for_it_is_told_the_word() {
        for command in ["pause", "resume", "jobs", "prune"] {
            let text = said(&[command, "default"]);
            assert!(
                text.contains(&format!("`{command} queue default`")) && !text.contains("similar"),
                "{text}"
            );
        }
        assert!(said(&["jobs", "daed"]).contains("'dead'"));
        assert!(!said(&["pause", "queue", "a", "--until", "soon"]).contains("is a queue"));
        let text = said(&["retry", "--all", "dead", "--yes"]);
        assert!(text.contains("asks nothing") && !text.contains("-- --yes"), "{text}");
        let text = said(&["--cors", "8"]);
        assert!(text.contains("'--cores'") && text.contains("Usage: jiggler-uring [OPTIONS]"), "{text}");
    }

    #[test]
    fn a_queue_with_a_blank_asks_for_quotes() {
        for line in [
            &["-q", "payments,", "mails"][..],
            &["--queue=payments,", "mails"],
            &["-qpayments,", "mails"],
            &["--cores", "2", "-q", "payments,", "mails"],
        ] {
            assert!(said(line).contains("needs quotes: 'payments, mails'"), "{line:?}: {}", said(line));
        }
        for line in [&["jobs", "queue", "my", "queue"][..], &["prune", "queue", "my", "mails"]] {
            let text = said(line);
            let last = line[line.len() - 1];
            assert!(text.contains(&format!("needs quotes: 'my {last}'")), "{text}");
        }
        let text = said(&["delete", "j", "--queue", "my", "mails"]);
        assert!(text.contains("needs quotes: 'my mails'"), "{text}");
    }
}
