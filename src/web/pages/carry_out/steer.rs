//! Asking a process to be quiet or to stop, and watching it until it has done so.

use std::time::Instant;

use super::{Broken, Report, Work, patience};
use crate::acts::ActProgress;
use crate::acts::steer::{Seen, Steering};
use crate::io::timer;
use crate::limits::STEER_LOOK;
use crate::store::steer::SteerRequest;
use crate::view::member::{Engine, Member};
use crate::web::pages::link::Link;
use crate::web::pages::words::{Text, span};

pub(super) async fn steer(
    work: &Work,
    link: &mut Link,
    uuid: &str,
    request: SteerRequest,
    report: &mut Report,
) -> Result<(), Broken> {
    let Some(member) = work.seen.members.iter().find(|member| member.uuid == uuid) else {
        report.said.push("It is not there: it has left.".to_owned());
        return Ok(());
    };
    if member.died_at.is_some() {
        report.said.push("It is dead: there is nothing to ask of it.".to_owned());
        return Ok(());
    }
    let mut steering = Steering::new(work.source.keys, request, vec![member.clone()]);
    let write = |requests: &mut _| steering.write_request(work.source.url.database(), requests);
    let replies = link.call(&patience(), write).await?;
    steering.read_heard(&replies)?;
    if steering.deaf().next().is_some() {
        return Err(Broken::Refused(unheard(member, request)));
    }
    report.done = 1;
    let begun = Instant::now();
    while steering.is_waiting() {
        if work.task.is_stopped() {
            report.is_stopped = true;
            report
                .said
                .push("It was asked; whether it has done so shows on the page of processes.".to_owned());
            return Ok(());
        }
        let replies = link.call(&patience(), |requests| steering.write_question(requests)).await?;
        let phases = steering.read_phases(&replies)?;
        for seen in steering.look(phases, begun.elapsed()) {
            match seen {
                Seen::Done(_, text) => report.said.push(format!("It {text}.")),
                Seen::Late { phase, limit, .. } => {
                    let (phase, limit) = (Text::cell(&phase).shown, span(limit.as_secs_f64()));
                    return Err(Broken::Refused(format!(
                        "It was asked, but is still {phase} after {limit}."
                    )));
                }
            }
        }
        work.task.progress(ActProgress::default());
        if steering.is_waiting() {
            timer::sleep(STEER_LOOK).await;
        }
    }
    Ok(())
}

fn unheard(member: &Member, request: SteerRequest) -> String {
    let signal = if request == SteerRequest::Quiet { "TSTP" } else { "TERM" };
    let why = match member.engine {
        Engine::Ruby => "It is a Ruby server, which only responds to signals",
        Engine::JigglerUring => "It is not listening at the moment, or is an older version",
    };
    format!("{why}: run `kill -{signal} {}` on {}.", member.pid, Text::cell(&member.host).shown)
}
