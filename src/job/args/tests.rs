//! Arguments decode into a handler's types or the error names the one that does not; both sources give the same answers.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;

use crate::job::args::ArgsError;
use crate::job::parse::Parser;

/// Runs `check` on the arguments once from the tape and once from the raw bytes, which `1e400` forces.
fn both(args: &str, check: impl Fn(&mut super::Args<'_>)) {
    let mut parser = Parser::default();
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
        assert_eq!(error.to_string(), "argument 3 is missing: expected a string, got 1 argument in all");
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
fn the_rest_of_the_arguments_is_taken_at_once() {
    both(r#"["a",1,2,3]"#, |args| {
        assert_eq!(args.take::<&str>().unwrap(), "a");
        assert_eq!(args.take_rest::<u8>().unwrap(), [1, 2, 3]);
        assert_eq!(args.finish(), Ok(()));
        assert_eq!(args.take_rest::<u8>().unwrap(), [0_u8; 0]);
    });
    both(r#"[1,"x"]"#, |args| {
        assert_eq!(args.take_rest::<u8>().unwrap_err().to_string(), "argument 2: expected u8, got a string");
    });
}

#[track_caller]
fn refused<T: Debug + for<'p> Deserialize<'p>>(args: &str, text: &str) {
    both(args, |args| assert_eq!(args.deserialize::<T>().unwrap_err().to_string(), text));
}

#[test]
fn arguments_decode_all_at_once() {
    both(r#"[7,"seven"]"#, |args| {
        assert_eq!(args.deserialize::<(u8, String)>().unwrap(), (7, "seven".into()));
        assert_eq!(args.deserialize::<(u8, &str)>().unwrap(), (7, "seven"));
        assert_eq!(args.deserialize::<Vec<serde_json::Value>>().unwrap().len(), 2);
    });
    refused::<(u8,)>(r#"[7,"seven"]"#, "too many arguments: expected at most 1, got 2");
    refused::<(u8, u8)>(r#"[7,"seven"]"#, "argument 2: expected u8, got a string");
    refused::<(u8, String, u8)>(
        r#"[7,"seven"]"#,
        "argument 3 is missing: expected u8, got 2 arguments in all",
    );
    refused::<(u8,)>("[]", "argument 1 is missing: expected u8, got no arguments in all");
    refused::<(String, u8)>("[7]", "argument 1: expected a string, got 7");
    both("[7]", |args| assert_eq!(args.deserialize::<(u8, Option<u8>)>().unwrap(), (7, None)));
    both("null", |args| {
        assert_eq!(args.deserialize::<(Option<u8>,)>().unwrap(), (None,));
        assert_eq!(args.deserialize::<Vec<u8>>().unwrap(), Vec::<u8>::new());
    });
}

/// A struct's fields are the arguments, however many there are.
#[test]
fn arguments_decode_all_at_once_into_the_fields_of_a_struct() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Nothing;
    #[derive(Debug, Deserialize, PartialEq)]
    struct Numbers(Vec<u8>);
    #[derive(Debug, Deserialize, PartialEq)]
    struct Empty {}
    #[derive(Debug, Deserialize, PartialEq)]
    struct Huge {
        id: u128,
    }

    let order = |note: Option<&str>, tags: &[&str]| Order {
        id: 8,
        note: note.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    both(r#"[8,"n",["t"]]"#, |args| {
        assert_eq!(args.deserialize::<Order>().unwrap(), order(Some("n"), &["t"]));
    });
    both(r#"[8,"n"]"#, |args| assert_eq!(args.deserialize::<Order>().unwrap(), order(Some("n"), &[])));
    both("[8]", |args| assert_eq!(args.deserialize::<Order>().unwrap(), order(None, &[])));
    refused::<Order>("[]", "argument 1 is missing: expected u64, got no arguments in all");
    refused::<Order>(r#"["x"]"#, "argument 1: expected u64, got a string");
    refused::<Order>("[8,null,[],1]", "too many arguments: expected at most 3, got 4");
    both("[]", |args| {
        assert_eq!(args.deserialize::<Nothing>().unwrap(), Nothing);
        assert_eq!(args.deserialize::<Empty>().unwrap(), Empty {});
    });
    refused::<Nothing>("[1]", "too many arguments: expected at most 0, got 1");
    both("[[1,2]]", |args| assert_eq!(args.deserialize::<Numbers>().unwrap(), Numbers(vec![1, 2])));
    both("[340282366920938463463374607431768211455]", |args| {
        assert_eq!(args.deserialize::<Huge>().unwrap(), Huge { id: u128::MAX });
    });
}

/// Ruby's `perform(*[1])` is a call with the number 1, and one with an array of numbers is `[[1]]`.
#[test]
fn an_array_of_one_element_is_never_unwrapped() {
    both("[[1,2]]", |args| assert_eq!(args.take::<Vec<u8>>().unwrap(), [1, 2]));
    both("[1]", |args| assert!(args.take::<Vec<u8>>().is_err()));
    both("[[7]]", |args| assert!(args.take::<u8>().is_err()));
    refused::<(u8,)>("[[7]]", "argument 1: expected u8, got an array");
    refused::<(Vec<u8>,)>("[1]", "argument 1: expected a sequence, got 1");
}
