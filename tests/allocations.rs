//! A parser in steady state allocates nothing: not for the envelope, not for arguments whose types need none, not
//! for other payloads of the same kind in between.

use allocation_counter::measure;
use jiggler_uring::job::parse::Parser;

#[test]
fn parsing_and_decoding_allocate_nothing_in_steady_state() {
    let payloads = [
        r#"{"name":"ResizeImageJob","args":[8467123,1280,"png"],"retries":5,"jid":"0db89b3e2a1cde66"}"#,
        r#"{"name":"N","args":[1,2.5,"l\u00e4ng\n"],"retries":0,"jid":"x","attempt":1,"queue":"q","more":{"a":[1,2,[]]}}"#,
    ];
    let mut parser = Parser::new();
    let mut run = || {
        for payload in payloads {
            let mut parsed = parser.parse(payload.as_bytes()).unwrap();
            let (id, width): (u64, f64) = (parsed.args.take().unwrap(), parsed.args.take().unwrap());
            let format: Option<&str> = parsed.args.take().unwrap();
            assert!(id > 0 && width > 0.0 && format.is_some() && !parsed.name.is_empty());
        }
    };
    run();
    let steady = measure(|| (0..1_000).for_each(|_| run()));
    assert_eq!(steady.count_total, 0, "{steady:?}");
}
