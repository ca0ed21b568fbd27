//! What packages of the program ship with it: completion scripts and manual pages, generated from the same clap command and
//! the same table of options as `--help`.

use std::io::{self, Write};

use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use super::{Failure, command};
use crate::config::{options::OptionId, table};

/// Writes the completion script of a shell for a program with this name.
///
/// # Errors
/// [`Failure::Run`] if it cannot be written.
pub fn completions(shell: Shell, program: &str, out: &mut dyn Write) -> Result<(), Failure> {
    // The generator panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command::command(), program, &mut script);
    Ok(out.write_all(&script)?)
}

/// Writes the manual page of the program, or of one of its subcommands, as roff.
///
/// # Errors
/// [`Failure::Usage`] if there is no such subcommand, [`Failure::Run`] if it cannot be written.
pub fn man(subcommand: Option<&str>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut root = command::command();
    root.build();
    let Some(name) = subcommand else { return Ok(main_page(root, out)?) };
    let known: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
    let Some(found) = root.find_subcommand(name) else {
        let text = format!("there is no subcommand `{name}`; the subcommands are {}", known.join(", "));
        return Err(Failure::usage(text));
    };
    Ok(Man::new(found.clone()).render(&mut &mut *out)?)
}

fn main_page(root: clap::Command, mut out: &mut dyn Write) -> io::Result<()> {
    let man = Man::new(root);
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    man.render_subcommands_section(&mut out)?;
    configuration().to_writer(&mut out)?;
    man.render_extra_section(&mut out)?;
    man.render_version_section(&mut out)
}

/// The whole table, because much of it has no flag.
fn configuration() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["CONFIGURATION FILE"]);
    roff.text([roman(
        "Keys of the YAML file, at the top or in the section of an environment. Flags win over the environment, the \
         environment over the file, the file over defaults. Options marked SIGHUP are reread at that signal; the \
         others need a restart.",
    )]);
    // A file does not name itself.
    for spec in table::rows().filter(|spec| spec.id != OptionId::ConfigFile) {
        roff.control("TP", []);
        let takes = table::values(spec).replace('`', "");
        roff.text([bold(spec.key), roman(" "), italic(takes)]);
        let default = table::default(spec).replace('`', "");
        let default = if default.is_empty() { String::new() } else { format!(" Default: {default}.") };
        let variables: Vec<&str> = spec.variables().collect();
        let change = table::change(spec);
        let (help, variables) = (spec.help, variables.join(", "));
        roff.text([roman(format!("{help}.{default} Variable: {variables}. Change: {change}."))]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(subcommand: Option<&str>) -> String {
        let mut out = Vec::new();
        man(subcommand, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_manual_page_has_every_option_and_every_subcommand() {
        // Roff escapes hyphens and apostrophes.
        let text = page(None).replace("\\-", "-").replace("\\*(Aq", "'");
        for spec in table::rows() {
            assert!(text.contains(spec.help), "{}", spec.key);
            assert!(spec.flag.is_none_or(|flag| text.contains(&format!("--{flag}"))), "{}", spec.key);
        }
        for subcommand in command::command().get_subcommands() {
            let name = subcommand.get_name();
            assert!(text.contains(&format!("jiggler-uring-{name}(1)")), "{name}");
            let text = page(Some(name)).replace("\\-", "-");
            assert!(
                text.contains("Exit status") && text.contains(&format!("jiggler-uring {name}")),
                "{text}"
            );
        }
        let error = man(Some("dance"), &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.to_string().contains("summary")), "{error:?}");
    }

    #[test]
    fn completion_scripts_know_the_subcommands_and_the_programs_name() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let mut out = Vec::new();
            completions(shell, "my-worker", &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("my-worker") && text.contains("doctor"), "{shell}");
        }
    }
}
