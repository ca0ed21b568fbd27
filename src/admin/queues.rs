//! `jiggler-uring queues [--json]`: the queues, how many jobs wait in each, and how many processes serve it.
//!
//! As JSON one object is written: `queues`, a list of `name`, `jobs`, `processes`.

use std::io::Write;

use super::{
    Database, Error,
    format::{Format, write_json},
    nodes,
    table::{self, Align},
};
use crate::{
    store::survey::Scope,
    view::queue::{Queue, Queues},
};

/// Shows the queues. Round trips as for `summary`.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn queues(db: &Database, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let summary = nodes::survey(db, Scope::Everything)?;
    let shown = Queues::of(&summary);
    let queues = &shown.queues;
    if format == Format::Json {
        write_json(&shown, out)?;
    } else if queues.is_empty() {
        writeln!(out, "no jobs wait in any queue, and no process serves one")?;
    } else {
        let columns = [("queue", Align::Left), ("jobs", Align::Right), ("served by", Align::Right)];
        let rows: Vec<Vec<String>> = queues.iter().map(row).collect();
        table::write(out, &columns, &rows)?;
    }
    Ok(())
}

fn row(queue: &Queue<'_>) -> Vec<String> {
    let served = match queue.processes {
        0 => "nobody".to_owned(),
        1 => "1 process".to_owned(),
        more => format!("{more} processes"),
    };
    vec![queue.name.to_owned(), queue.jobs.to_string(), served]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::database;
    use crate::own_redis::OwnRedis;

    #[test]
    fn waiting_jobs_and_who_serves_them_are_side_by_side() {
        let redis = OwnRedis::start();
        let show = |format| {
            let mut out = Vec::new();
            queues(&database(&redis), format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(Format::Text), "no jobs wait in any queue, and no process serves one\n");
        assert_eq!(show(Format::Json), "{\"queues\":[]}\n");
        redis.run(&[b"LPUSH", b"jiggler:list:lonely", b"a", b"b"]);
        redis.run(&[b"LPUSH", b"jiggler:list:img", b"a"]);
        redis.run(&[b"LPUSH", b"jiggler:list:img:in_progress:aaaaaaaaaaaa", b"x"]);
        for uuid in ["aaaaaaaaaaaa", "bbbbbbbbbbbb"] {
            let key = format!("jiggler:svr:{uuid}:3:25:img,0,empty,1:1:1795299901:8066:vm");
            redis.run(&[b"SET", key.as_bytes(), b"{}"]);
        }
        assert_eq!(
            show(Format::Text),
            "queue   jobs    served by\nempty      0  2 processes\nimg        1  2 processes\nlonely     2       nobody\n"
        );
        let json: serde_json::Value = serde_json::from_str(&show(Format::Json)).unwrap();
        assert_eq!(json["queues"][2], serde_json::json!({"name": "lonely", "jobs": 2, "processes": 0}));
    }
}
