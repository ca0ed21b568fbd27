//! A job that is wrapped in another: ActiveJob pushes jobs of one class, whose only argument describes the real one.
//!
//! ```json
//! {"class":"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper","wrapped":"ResizeJob",
//!  "args":[{"job_class":"ResizeJob","arguments":[42,{"_aj_globalid":"gid://app/User/1"}]}]}
//! ```

use std::ops::Range;

use crate::job::scan;
use crate::job::schema::Schema;

/// Where the arguments of the wrapped job are in a payload of valid JSON; `None` if they are not where they should be: then
/// it is no such job.
pub(super) fn arguments(schema: Schema, payload: &[u8]) -> Option<Vec<Range<usize>>> {
    let inner = schema.wrapped_args()?;
    let args = value_of(payload, 0..payload.len(), schema.names().args)?;
    let [only] = elements(payload, args)?.try_into().ok()?;
    elements(payload, value_of(payload, only, inner)?)
}

/// The last value of this name in the object at a place.
fn value_of(payload: &[u8], object: Range<usize>, name: &str) -> Option<Range<usize>> {
    let json = payload.get(object.clone())?;
    let members = scan::members(json).ok()?;
    let last = members.into_iter().rfind(|member| scan::key_is(&json[member.key.clone()], name))?;
    Some(last.value.start + object.start..last.value.end + object.start)
}

/// The elements of the array at a place.
fn elements(payload: &[u8], array: Range<usize>) -> Option<Vec<Range<usize>>> {
    let found = scan::elements(payload.get(array.clone())?).ok()?;
    Some(found.into_iter().map(|span| span.start + array.start..span.end + array.start).collect())
}

#[cfg(test)]
mod tests {
    use crate::job::{Parser, Schema};
    use crate::wire::Dialect;

    fn parsed<R>(payload: &str, look: impl FnOnce(crate::job::parse::Parsed<'_>) -> R) -> R {
        look(Parser::new(Schema::of(Dialect::Sidekiq)).parse(payload.as_bytes()).unwrap())
    }

    #[test]
    fn a_wrapped_job_is_known_by_its_own_name_and_has_its_own_arguments() {
        let payload = r#"{"retry":true,"class":"Sidekiq::ActiveJob::Wrapper","wrapped":"ResizeJob","args":[{"job_class":"ResizeJob","executions":0,"arguments":[42,"a",{"_aj_globalid":"gid://app/User/1"},1e400]}],"jid":"j"}"#;
        for payload in [payload.replace(",1e400", ""), payload.to_owned()] {
            parsed(&payload, |mut parsed| {
                assert_eq!((parsed.name, parsed.jid), ("ResizeJob", Some("j")));
                assert_eq!(parsed.args.take::<u64>().unwrap(), 42);
                assert_eq!(parsed.args.take::<String>().unwrap(), "a");
                let id: std::collections::BTreeMap<String, String> = parsed.args.take().unwrap();
                assert_eq!(id["_aj_globalid"], "gid://app/User/1");
            });
        }
    }

    #[test]
    fn what_does_not_wrap_a_job_is_what_its_class_says() {
        for payload in [
            r#"{"class":"W","wrapped":"X","args":[1]}"#,
            r#"{"class":"W","wrapped":"X","args":[{"arguments":[]},2]}"#,
            r#"{"class":"W","wrapped":"X","args":[{"arguments":5}]}"#,
            r#"{"class":"W","wrapped":null,"args":[{"arguments":[]}]}"#,
        ] {
            assert_eq!(parsed(payload, |parsed| parsed.name.to_owned()), "W", "{payload}");
        }
        let jiggler = r#"{"name":"W","wrapped":"X","args":[{"arguments":[1]}]}"#;
        assert_eq!(Parser::default().parse(jiggler.as_bytes()).unwrap().name, "W");
    }

    #[test]
    fn state_that_only_ruby_can_act_on_is_noticed() {
        for (members, is_for_ruby) in [
            (r#""bid":"b-1""#, true),
            (r#""encrypt":true"#, true),
            (r#""lock_digest":"uniquejobs:x""#, true),
            (r#""encrypt":false,"bid":null"#, false),
            (r#""bid":"b-1","unique_for":false"#, true),
            (r#""tags":["bid"]"#, false),
        ] {
            let payload = format!(r#"{{"class":"C","args":[{{"bid":"b"}}],{members}}}"#);
            assert_eq!(parsed(&payload, |parsed| parsed.is_for_ruby), is_for_ruby, "{members}");
        }
    }
}
