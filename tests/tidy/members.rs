//! Only `job::schema` spells the members of payloads, and few places choose how.

use std::collections::BTreeSet;

use super::source::Source;
use super::{in_places, lines_with, report, src};

/// Where members are spelt.
const SCHEMA: &[&str] = &["src/job/schema.rs", "src/job/schema/"];

/// Where the same words are columns, flags, values or sets, and not members.
const OTHER_WORDS: &[&str] = &[
    // Tables and files for people; the latter are in a form of our own, whatever the dialect.
    "src/admin/",
    // Fields of log lines.
    "src/boot/",
    // JSON for programs.
    "src/view/entry.rs",
    "src/view/page.rs",
    "src/view/shown.rs",
    "src/view/why.rs",
    // Labels of metrics.
    "src/web/metrics/",
    "src/stats/outcomes.rs",
    // Paths of pages, and their parameters.
    "src/web/pages/",
    "src/web/api/",
    // Flags, and keys of the configuration.
    "src/cli/",
    "src/config/",
    // What operators do, and the phases of processes.
    "src/acts/action.rs",
    "src/acts/pause.rs",
    "src/view/member.rs",
    // What a process says of itself to Sidekiq's programs.
    "src/wire/sidekiq_process.rs",
    // Sets: their words, their keys, and the ends of those.
    "src/wire/keys.rs",
    "src/store/entries.rs",
    "src/store/cron/outcome.rs",
    "src/wire/realm.rs",
    // Words of the protocols of runners.
    "src/runner/frame.rs",
    "src/runner/http/",
    // Names of methods, and fields of a Debug form.
    "src/handler/registry.rs",
    "src/handler/options.rs",
];

/// Where a schema is chosen: where keys are, and where there is no Redis. Everything else receives the result.
const CHOICES: &[(&str, &[&str])] = &[
    ("Schema::of", &["src/client/spelling.rs", "src/shard/dispatch.rs"]),
    // In memory, for tests.
    ("Schema::default", &["src/job/", "src/client/local.rs", "src/testing/"]),
    ("Schema::Jiggler", SCHEMA),
    ("Schema::Sidekiq", SCHEMA),
    ("Parser::default", &["src/job/"]),
];

/// The members of all dialects.
pub(crate) fn members(sources: &[Source]) -> BTreeSet<&str> {
    let spelt = sources.iter().filter(|source| in_places(&source.path, SCHEMA));
    let literals = spelt.flat_map(Source::product_literals).map(|(_, text)| text.as_str());
    literals.filter(|text| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect()
}

pub(crate) fn broken_members(source: &Source, members: &BTreeSet<&str>) -> Vec<String> {
    if in_places(&source.path, SCHEMA) {
        return Vec::new();
    }
    let in_json = |text: &str| {
        let plain = text.replace('\\', "");
        members.iter().any(|member| plain.contains(&format!("\"{member}\":")))
    };
    let may_spell = in_places(&source.path, OTHER_WORDS);
    let is_spelt = |text: &str| !may_spell && (members.contains(text) || in_json(text));
    let literals = source.product_literals().filter(|(_, text)| is_spelt(text));
    let spelt = literals.map(|(line, text)| {
        format!("{}:{line}: {text:?}: a member of payloads is spelt here: ask the Schema", source.path)
    });
    let chosen =
        CHOICES.iter().filter(|(_, places)| !in_places(&source.path, places)).flat_map(|(word, _)| {
            let lines = lines_with(source, word);
            lines.map(move |line| format!("{}:{line}: `{word}`: take a Schema from above", source.path))
        });
    spelt.chain(chosen).collect()
}

#[test]
fn members_of_payloads_are_spelt_only_in_the_schema() {
    let sources = src();
    let members = members(&sources);
    assert!(members.contains("error_class") && members.len() > 10, "{members:?}");
    let products = sources.iter().filter(|source| !source.is_test());
    report(products.flat_map(|source| broken_members(source, &members)));
}
