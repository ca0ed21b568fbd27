//! Changing a periodic job.

use super::{Broken, Link, Report, Source, Text, Work, patience};
use crate::acts::periodic::{Edit, Edited, Editing, EditingError};
use crate::cron::edit::EditError;

/// Two round trips, more if others change it meanwhile.
pub(super) async fn change(
    work: &Work,
    link: &mut Link,
    edit: &Edit,
    name: &str,
    report: &mut Report,
) -> Result<(), Broken> {
    let Source { keys, schema, .. } = work.source;
    let shown = Text::cell(name).shown;
    let mut editing = Editing::new(edit.clone(), name, keys.shared_realm(), schema);
    while editing.edited().is_none() {
        let replies = link.call(&patience(), |requests| _ = editing.write(requests)).await?;
        match editing.read(&replies) {
            Ok(()) => {}
            // It is as it was wanted.
            Err(EditingError::Edit(EditError::Absent)) if *edit == Edit::Remove => {
                report.said.push(format!("There is no periodic job {shown}."));
                return Ok(());
            }
            Err(EditingError::Reply(error)) => return Err(error.into()),
            Err(error) => return Err(Broken::Refused(format!("Periodic job {shown}: {error}."))),
        }
    }
    report.done = 1;
    report.said.push(match editing.edited() {
        Some(Edited::Pushed { jid }) => format!("Periodic job {shown} was pushed as job {jid}."),
        Some(Edited::Paused) => format!("Periodic job {shown} is paused."),
        Some(Edited::Resumed) => format!("Periodic job {shown} is pushed again from its next tick on."),
        Some(Edited::Removed { .. } | Edited::Added { .. }) | None => {
            format!("Periodic job {shown} was removed.")
        }
    });
    Ok(())
}
