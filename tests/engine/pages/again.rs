//! A job is edited on its page and enqueued again, as a new one, once.

use super::acts::{ADMIN, OPERATE, asked, form, guarded, location, roles, send};
use super::{add, browse_with};
use crate::harness::Redis;
use crate::harness::html::Html;
use crate::harness::redis::DEAD;
use crate::harness::wait::wait_until;

#[test]
fn a_job_is_edited_and_enqueued_again_as_a_new_one() {
    let redis = Redis::start();
    let file = roles();
    let web = guarded(&redis, &file);
    let job = r#"{"name":"Mail","args":[9223372036854775808,{"to":"ann"}],"jid":"j","retries":3,"queue":"mail","tenant":"acme","started_at":1.5,"error_class":"E","error_message":"m","attempt":3,"retried_at":2.5}"#;
    let secret = r#"{"name":"Pay","args":[{"token":"t0ps3cret"}],"jid":"k","queue":"mail"}"#;
    add(&redis, DEAD, &[(1.0, job), (2.0, secret), (3.0, "no job")]);
    let shown = Html::read(&browse_with(&web, "/job?place=dead&id=j", OPERATE).body);
    let links = shown.links("act?do=again");
    assert_eq!(links.len(), 1, "{links:?}");
    let html = Html::read(&browse_with(&web, &format!("/{}", links[0]), OPERATE).body);
    assert!(
        html.text.contains("9223372036854775808") && html.text.contains("The old one stays"),
        "{}",
        html.text
    );
    let (path, fields) = form(&html).unwrap();
    let said = send(&web, &path, &format!("{fields}&args=%5B1"), OPERATE);
    assert!(said.status == 400 && said.body.contains("EOF while parsing"), "{}", said.body);
    let args = "&args=%5B9223372036854775809%2C%0D%0A+%7B%22to%22%3A%22%C3%A9%22%7D%5D";
    let removes = format!("{fields}{args}&remove=1");
    assert_eq!(send(&web, &path, &removes, OPERATE).status, 403, "to delete takes another role");
    // Sent twice, it is pushed once.
    let done: Vec<String> =
        (0..2).map(|_| location(&send(&web, &path, &format!("{fields}{args}"), OPERATE))).collect();
    assert_eq!(done[0], done[1]);
    wait_until("it is pushed", || redis.queue("mail").len() == 1);
    let pushed: serde_json::Value = serde_json::from_str(&redis.queue("mail")[0]).unwrap();
    let text = &redis.queue("mail")[0];
    assert!(text.contains("9223372036854775809") && text.contains("\u{e9}"), "{text}");
    assert!(pushed["jid"] != "j" && pushed["tenant"] == "acme" && pushed["retries"] == 3, "{text}");
    for left in ["error_class", "started_at", "attempt", "retried_at"] {
        assert!(pushed.get(left).is_none(), "{left} in {text}");
    }
    assert_eq!(redis.count(DEAD), 3, "the old one stays");
    let log = Html::read(&browse_with(&web, "/audit", ADMIN).body);
    assert_eq!(log.rows[1][2..5], ["enqueue job j again, with arguments as given", "done", "1"]);
    // What is hidden stays as it is, and is not shown.
    let html = asked(&web, "do=again&place=dead&id=k", ADMIN);
    assert!(html.text.contains("1 value is hidden in its arguments") && !html.text.contains("t0ps3cret"));
    let (path, fields) = form(&html).unwrap();
    location(&send(&web, &path, &format!("{fields}&remove=1"), ADMIN));
    wait_until("it is pushed, and the old one deleted", || {
        redis.queue("mail").len() == 2 && redis.count(DEAD) == 2
    });
    assert!(redis.queue("mail").iter().any(|job| job.contains("t0ps3cret")));
    let gone = asked(&web, "do=again&place=dead&id=k", ADMIN);
    assert!(gone.text.contains("There is nothing to do") && form(&gone).is_none(), "{}", gone.text);
}
