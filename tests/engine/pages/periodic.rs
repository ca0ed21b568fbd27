//! The page of periodic jobs, and what is done to them from there.

use super::acts::{ADMIN, OPERATE, check, roles};
use super::{alone, browse_with};
use crate::harness::html::Html;
use crate::harness::{Redis, output_of};

#[test]
fn a_periodic_job_is_shown_run_paused_resumed_and_removed() {
    for redis in Redis::of_each_dialect() {
        let file = roles();
        let web = alone(&redis, &[&redis.flags()[..], &["--web-auth", &file.path()]].concat());
        let add =
            ["cron", "add", "<nightly>", "0 3 * * *", "Report", r#"[{"token":"s3cret"}]"#, "--queue", "mail"];
        let url = redis.url();
        let added = output_of(&[&add[..], &redis.flags(), &["--redis-url", &url]].concat());
        assert!(added.status.success(), "{added:?}");
        let shown = || Html::read(&browse_with(&web, "/periodic", ADMIN).body);
        let html = shown();
        let row = html.row("<nightly>");
        assert_eq!((&*row[1], &*row[3], &*row[6]), ("every day at 03:00 UTC", "never", "mail"), "{row:?}");
        assert!(row[2].starts_with("in ") && row[4].trim_end() == "Run now Pause Remove", "{row:?}");
        assert!(
            html.text.contains("1 to 1 of 1 periodic job") && !html.text.contains("s3cret"),
            "{}",
            html.text
        );
        let deed = |word: &str| format!("do={word}&periodic=%3Cnightly%3E");
        check(&web, &deed("run"), OPERATE, "Periodic job <nightly> was pushed as job ");
        assert_eq!(redis.queue("mail").len(), 1);
        let html = shown();
        assert!(html.row("<nightly>")[3].starts_with("queued "), "{:?}", html.row("<nightly>"));
        check(&web, &deed("pause"), OPERATE, "Periodic job <nightly> is paused.");
        check(&web, &deed("pause"), OPERATE, "Periodic job <nightly> is paused.");
        let html = shown();
        let row = html.row("<nightly>");
        assert!(row[1].ends_with(" paused") && row[4].trim_end() == "Run now Resume Remove", "{row:?}");
        check(&web, &deed("resume"), OPERATE, "is pushed again from its next tick on.");
        check(&web, &deed("remove"), ADMIN, "Periodic job <nightly> was removed.");
        check(&web, &deed("remove"), ADMIN, "There is no periodic job <nightly>.");
        check(&web, &deed("run"), ADMIN, "Periodic job <nightly>: there is none.");
        assert!(shown().text.contains("No periodic jobs here."));
        let log = Html::read(&browse_with(&web, "/audit", ADMIN).body);
        assert_eq!(log.rows[1][2..4], ["run periodic job <nightly>", "failed"]);
    }
}
