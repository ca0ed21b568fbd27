//! SIGHUP: the server reads its configuration again, and this process continues with it.
//!
//! Reading it is the server's task and runs off this thread: a file on a network drive must not delay the lease. The result
//! is [`Settings`]; it is the server that reports options that need a restart.

use super::notify;
use super::service_manager::Notifier;
use super::settings::Settings;
use super::state::Control;
use crate::mesh::ToShard;

/// Has the configuration read again, and puts the result in force. `false` if there is no way to read it.
pub(super) async fn reload(control: &Control) -> bool {
    let Some(mut reload) = control.settings.take_reload() else { return false };
    if let Some(notifier) = &control.notifier {
        notifier.tell_reload();
    }
    let (reload, settings) = glommio::executor()
        .spawn_blocking(move || {
            let settings = reload();
            (reload, settings)
        })
        .await;
    control.settings.give_back(reload);
    if let Some(settings) = settings {
        put_in_force(control, settings).await;
    }
    if control.notifier.as_ref().is_some_and(Notifier::end_reload) {
        notify::tell(control);
    }
    true
}

async fn put_in_force(control: &Control, settings: Settings) {
    let before = control.settings.replace(settings);
    if before == settings {
        return;
    }
    // Upkeep checks its interval and its key, the poller its own interval.
    control.wake_upkeep();
    let Settings { dead_jobs_max: jobs_max, dead_timeout: timeout, .. } = settings;
    if (before.dead_jobs_max, before.dead_timeout) != (jobs_max, timeout) {
        control.shards.send_all(&ToShard::DeadBounds { jobs_max, timeout }).await;
    }
}
