//! The table of options as text for README and man page, so that neither is written by hand.

use super::options::{Allowed, Change, DefaultValue, OPTIONS, OptionId, OptionSpec};

/// The rows that have an effect.
pub fn rows() -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS.iter().filter(|spec| spec.id != OptionId::Unused)
}

/// The table of README.md, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| flag | key in the file | variable | values | default | change | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for spec in rows() {
        let variables: Vec<String> = spec.variables().map(|name| format!("`{name}`")).collect();
        let cells = [
            flag(spec),
            key(spec),
            variables.join(", "),
            values(spec),
            default(spec),
            change(spec).to_owned(),
            spec.help.to_owned(),
        ];
        // A bar would end its cell.
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn flag(spec: &OptionSpec) -> String {
    let Some(flag) = spec.flag else { return String::new() };
    let value = if spec.allowed == Allowed::Switch { String::new() } else { format!(" {}", spec.value_name) };
    match spec.short {
        Some(short) => format!("`-{short}`, `--{flag}{value}`"),
        None => format!("`--{flag}{value}`"),
    }
}

/// A file does not name itself.
fn key(spec: &OptionSpec) -> String {
    if spec.id == OptionId::ConfigFile { String::new() } else { format!("`{}`", spec.key) }
}

/// The values the option accepts; those of a text are described in its meaning already.
#[must_use]
pub fn values(spec: &OptionSpec) -> String {
    match spec.allowed {
        Allowed::Number { min, max } => format!("{min} to {max}"),
        Allowed::Decimal { min, max } => format!("{min} to {max}, with decimals"),
        Allowed::Switch => "`true`, `false`".to_owned(),
        Allowed::Words(words) => format!("`{}`", words.join("`, `")),
        Allowed::Text(text) => text.to_owned(),
    }
}

/// Its value when nobody sets it.
#[must_use]
pub fn default(spec: &OptionSpec) -> String {
    match spec.default {
        DefaultValue::Text(_) | DefaultValue::Number(_) | DefaultValue::Switch(_) => {
            format!("`{}`", spec.default)
        }
        DefaultValue::Later(text) => text.to_owned(),
        DefaultValue::Nothing => String::new(),
    }
}

/// When a change to it takes effect, in a word.
#[must_use]
pub fn change(spec: &OptionSpec) -> &'static str {
    match spec.change {
        Change::Restart => "restart",
        Change::Hangup => "SIGHUP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a change to the table, copy what this prints into README.md, section Options.
    #[test]
    fn the_readme_has_the_whole_table() {
        let readme = include_str!("../../README.md");
        let table = markdown();
        assert!(readme.contains(&table), "README.md, section Options, must contain exactly:\n\n{table}");
    }
}
