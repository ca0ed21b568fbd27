//! The commands that end, move or delete something, side by side, because their names alone do not tell them apart.

use clap::Command;

/// What follows in the long help of each of them. README.md has the same table.
pub(super) const TABLE: &str = "\
What ends, moves or deletes what:
  command   acts on                            what happens to it
  cancel    a running job                      ends at its next await point, goes to the dead set
  kill      a job waiting to be retried or     goes to the dead set, where `retry` finds it
            scheduled
  delete    a job waiting anywhere             is gone for good
  prune     a whole queue, set or counter      is gone for good; running jobs are left alone
  pause     a queue or a class, in the whole   nothing of it starts until `resume`; what runs goes on
            fleet
  quiet     a process                          takes no more jobs, finishes those it runs, stays
  stop      a process                          the same, then hands back what is left and ends
`resume` ends what `pause` did. A process that is quiet stays so until it is restarted.";

/// The command with its own help, followed in the long form by the table.
pub(super) fn beside(command: Command, help: &'static str) -> Command {
    command.after_help(help).after_long_help(format!("{help}\n\n{TABLE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a change to the table, copy it into README.md.
    #[test]
    fn the_readme_has_the_table_and_each_of_them_shows_it() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(TABLE), "README.md must contain exactly:\n\n{TABLE}");
        let command = super::super::command::command().term_width(10_000);
        for name in ["cancel", "kill", "delete", "prune", "pause", "quiet", "stop"] {
            let mut one = command.find_subcommand(name).unwrap().clone().term_width(10_000);
            let help = one.render_long_help().to_string();
            assert!(
                help.contains("  quiet     a process") && TABLE.contains(&format!("\n  {name} ")),
                "{help}"
            );
        }
    }
}
