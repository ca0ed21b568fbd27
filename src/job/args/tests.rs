//! Arguments decode into a handler's types or say which one does not; both sources give the same answers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::job::args::ArgsError;
use crate::job::parse::Parser;

/// Runs `check` on the arguments once from the tape and once from the raw bytes, which `1e400` forces.
fn both(args: &str, check: impl Fn(&mut super::Args<'_>)) {
    let mut parser = Parser::new();
    for slow in ["", r#","x":1e400"#] {
        let payload = format!(r#"{{"name":"N","args":{args}{slow}}}"#);
        let mut parsed = parser.parse(payload.as_bytes()).unwrap();
        check(&mut parsed.args);
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    id: u64,
    note: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Point,
    Circle(f64),
    Line(i8, i8),
    Rect { width: u16, height: u16 },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Meters(f64);

#[test]
fn arguments_decode_one_by_one() {
    both(r#"[1,-2,"two",3.5,null,true,[1,[2]],{"k":"v"},"é ✓ 😀"]"#, |args| {
        assert_eq!((args.len(), args.left()), (9, 9));
        assert_eq!(args.take::<u64>().unwrap(), 1);
        assert_eq!(args.take::<i8>().unwrap(), -2);
        assert_eq!(args.take::<String>().unwrap(), "two");
        assert_eq!(args.take::<f64>().unwrap(), 3.5);
        assert_eq!(args.take::<Option<u8>>().unwrap(), None);
        assert!(args.take::<bool>().unwrap());
        assert_eq!(args.take::<(u8, Vec<u8>)>().unwrap(), (1, vec![2]));
        assert_eq!(args.take::<BTreeMap<String, String>>().unwrap()["k"], "v");
        assert_eq!(args.left(), 1);
        assert_eq!(args.finish(), Err(ArgsError::TooMany { max: 8, got: 9 }));
        assert_eq!(args.take::<&str>().unwrap(), "é ✓ 😀");
        assert_eq!(args.finish(), Ok(()));
    });
}

#[test]
fn arguments_decode_into_structs_enums_and_maps() {
    both(
        r#"[{"id":7,"note":null,"other":[{}]},[8,"n",["t"]],"point",{"circle":1},{"line":[1,2]},{"rect":{"width":3,"height":4}},2.5,{"-3":1}]"#,
        |args| {
            assert_eq!(args.take::<Order>().unwrap(), Order { id: 7, note: None, tags: vec![] });
            let listed = Order { id: 8, note: Some("n".into()), tags: vec!["t".into()] };
            assert_eq!(args.take::<Order>().unwrap(), listed);
            assert_eq!(args.take::<Shape>().unwrap(), Shape::Point);
            assert_eq!(args.take::<Shape>().unwrap(), Shape::Circle(1.0));
            assert_eq!(args.take::<Shape>().unwrap(), Shape::Line(1, 2));
            assert_eq!(args.take::<Shape>().unwrap(), Shape::Rect { width: 3, height: 4 });
            assert_eq!(args.take::<Meters>().unwrap(), Meters(2.5));
            assert_eq!(args.take::<BTreeMap<i32, u8>>().unwrap(), BTreeMap::from([(-3, 1)]));
        },
    );
}

#[test]
fn missing_trailing_arguments_are_none() {
    both("[1]", |args| {
        assert_eq!(args.take::<u8>().unwrap(), 1);
        assert_eq!(args.take::<Option<String>>().unwrap(), None);
        let error = args.take::<String>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "argument 3 is missing: expected a string, got nothing, the job has 1 arguments"
        );
    });
}

#[test]
fn an_argument_of_another_type_is_named() {
    both(r#"["secret",300,-1,1.5,null,[1],{"id":"x"},"blob",[1,2,3]]"#, |args| {
        let texts = [
            args.take::<u64>().unwrap_err(),
            args.take::<u8>().unwrap_err(),
            args.take::<u32>().unwrap_err(),
            args.take::<i64>().unwrap_err(),
            args.take::<String>().unwrap_err(),
            args.take::<bool>().unwrap_err(),
            args.take::<Order>().unwrap_err(),
            args.take::<Shape>().unwrap_err(),
            args.take::<(u8, u8)>().unwrap_err(),
        ];
        for (index, error) in texts.iter().enumerate() {
            let text = error.to_string();
            assert!(text.starts_with(&format!("argument {}: ", index + 1)), "{text}");
            assert!(!text.contains("secret") && !text.contains("blob"), "{text}");
        }
        for (index, expected) in
            [(0, "u64"), (1, "u8"), (2, "u32"), (3, "i64"), (4, "a string"), (5, "a boolean"), (6, "u64")]
        {
            assert!(
                texts[index].to_string().contains(&format!("expected {expected}, got ")),
                "{}",
                texts[index]
            );
        }
        assert!(texts[1].to_string().ends_with("got 300"), "{}", texts[1]);
        assert!(texts[3].to_string().ends_with("got 1.5"), "{}", texts[3]);
        assert!(texts[7].to_string().contains("expected one of `point`, "), "{}", texts[7]);
    });
}

#[test]
fn arguments_decode_all_at_once() {
    both(r#"[7,"seven"]"#, |args| {
        assert_eq!(args.deserialize::<(u8, String)>().unwrap(), (7, "seven".into()));
        assert_eq!(args.deserialize::<(u8, &str)>().unwrap(), (7, "seven"));
        assert_eq!(args.deserialize::<Vec<serde_json::Value>>().unwrap().len(), 2);
        assert!(args.deserialize::<(u8,)>().is_err());
        assert!(args.deserialize::<(u8, u8)>().is_err());
        assert!(args.deserialize::<(u8, String, u8)>().is_err());
    });
    let mut parser = Parser::new();
    let mut parsed = parser.parse(br#"{"name":"N","args":[7]}"#).unwrap();
    assert_eq!(parsed.args.deserialize::<(u8, Option<u8>)>().unwrap(), (7, None));
    let error = parsed.args.deserialize::<(u8, u8)>().unwrap_err();
    assert_eq!(error.to_string(), "argument 2 is missing: expected u8, got nothing, the job has 1 arguments");
    let error = parsed.args.deserialize::<(String, u8)>().unwrap_err();
    assert_eq!(error.to_string(), "argument 1: expected a string, got 7");
    drop(parsed);
    let mut none = parser.parse(br#"{"name":"N"}"#).unwrap();
    assert_eq!(none.args.deserialize::<(Option<u8>,)>().unwrap(), (None,));
    assert_eq!(none.args.deserialize::<Vec<u8>>().unwrap(), Vec::<u8>::new());
}
