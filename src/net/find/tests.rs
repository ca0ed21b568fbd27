//! Whole searches: which server is asked in which order, what is used, and what the error says when all was in vain.

use super::super::handshake::HandshakeError;
use super::*;
use crate::resp::decode::Decoder;

fn reply(text: &str) -> Reply {
    let mut decoder = Decoder::default();
    decoder.feed(text.as_bytes());
    decoder.next_reply().unwrap().unwrap()
}

fn refused() -> Error {
    Error::Io { what: "connect to x".to_owned(), cause: std::io::ErrorKind::ConnectionRefused.into() }
}

fn search(url: &RedisUrl) -> Search<'_> {
    match url.place() {
        Place::Sentinels(sentinels) => Search::of_sentinels(url, sentinels),
        Place::Cluster(cluster) => Search::of_nodes(url, cluster),
        Place::Server(_) => panic!("{url}"),
    }
}

fn asks(search: &mut Search<'_>) -> Ask {
    match search.next_step().unwrap() {
        Step::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

fn uses(search: &mut Search<'_>) -> (String, RedisUrl) {
    match search.next_step().unwrap() {
        Step::Use { endpoint, url } => (endpoint.to_string(), url),
        other => panic!("{other:?}"),
    }
}

const SENTINELS: &str = "redis+sentinel://me:pw@a,b:7000,c/mymaster/2?sentinel_password=other";
const AT_1: &str = "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n";
const AT_2: &str = "*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6380\r\n";

/// Plays a search in which each sentinel gives this answer, and no server that is named can be reached.
fn sentinels(answers: Vec<Result<&str, Error>>) -> (Vec<String>, String, bool) {
    let url = RedisUrl::parse(SENTINELS).unwrap();
    let mut search = search(&url);
    let (mut named, mut answers) = (Vec::new(), answers.into_iter());
    loop {
        match search.next_step() {
            Ok(Step::Ask(_)) => search.answered(answers.next().unwrap().map(reply)),
            Ok(Step::Use { url, .. }) => {
                named.push(url.to_string());
                search.missed(refused()).unwrap();
            }
            Ok(Step::UseAsked) => panic!("a sentinel is no server"),
            Err(error) => {
                assert!(answers.next().is_none(), "{error}");
                return (named, error.to_string(), error.may_heal());
            }
        }
    }
}

#[test]
fn each_sentinel_is_asked_by_its_own_password_and_the_primary_is_used_by_the_urls() {
    let url = RedisUrl::parse(SENTINELS).unwrap();
    let mut search = search(&url);
    let ask = asks(&mut search);
    assert_eq!(
        (ask.endpoint.to_string().as_str(), ask.url.to_string().as_str()),
        ("a:26379", "redis://:***@a:26379/0")
    );
    assert_eq!(ask.url.credentials().unwrap().password, "other");
    assert!(ask.question.as_bytes().ends_with(b"$8\r\nmymaster\r\n"));
    search.answered(Ok(reply(AT_1)));
    let (endpoint, primary) = uses(&mut search);
    assert_eq!(endpoint, "10.0.0.1:6379");
    assert_eq!(primary.to_string(), "redis://me:***@10.0.0.1:6379/2");
    assert!(primary.must_be_primary() && primary.credentials().unwrap().password == "pw");
    // A password that is wrong there is wrong at whatever server another sentinel names.
    let wrong = Error::Handshake(HandshakeError::WrongPassword { user: "me".to_owned() });
    assert!(matches!(search.missed(wrong), Err(Error::Handshake(_))));
}

#[test]
fn a_sentinel_that_is_away_or_behind_the_times_does_not_end_the_search() {
    let (named, error, heals) = sentinels(vec![Err(refused()), Ok(AT_1), Ok(AT_2)]);
    assert_eq!(named, ["redis://me:***@10.0.0.1:6379/2", "redis://me:***@10.0.0.2:6380/2"]);
    assert!(heals && error.contains("sentinel a:26379: connect to x"), "{error}");
    assert!(error.contains("sentinel b:7000: it names 10.0.0.1:6379, and there: connect to x"), "{error}");
}

#[test]
fn a_server_that_could_not_be_had_is_not_tried_twice_in_one_search() {
    let (named, error, _) = sentinels(vec![Ok(AT_1), Ok(AT_1), Ok(AT_1)]);
    assert_eq!(named.len(), 1);
    assert!(error.contains("it names 10.0.0.1:6379 too"), "{error}");
}

#[test]
fn a_name_that_no_sentinel_knows_is_distinguished_and_does_not_pass() {
    let (_, error, heals) = sentinels(vec![Ok("*-1\r\n"), Ok("*-1\r\n"), Ok("$-1\r\n")]);
    assert!(!heals && error.contains("none of the sentinels a:26379,b:7000,c:26379 knows"), "{error}");
    let (_, error, heals) = sentinels(vec![Ok("*-1\r\n"), Err(refused()), Ok("*-1\r\n")]);
    assert!(heals && error.contains("b:7000: connect"), "{error}");
}

#[test]
fn nonsense_is_not_an_address_and_a_missing_password_is_named() {
    let wants = || Err(Error::Handshake(HandshakeError::PasswordRequired));
    let (_, error, heals) = sentinels(vec![wants(), wants(), Ok("*1\r\n$1\r\nx\r\n")]);
    assert!(
        !heals && error.contains("--redis-sentinel-password-file") && error.contains("a host and a port"),
        "{error}"
    );
}

// Redis's own example: the slot of "123456789" is 12739.
const KEY: &[u8] = b"123456789";

fn cluster(url: &str) -> RedisUrl {
    RedisUrl::parse(url).unwrap().at_key(KEY)
}

/// First and last slot, and the hosts and ports of the nodes.
type Range<'r> = (u16, u16, &'r [(&'r str, u16)]);

/// An answer with these ranges.
fn slots(ranges: &[Range<'_>]) -> Reply {
    let mut text = format!("*{}\r\n", ranges.len());
    for (first, last, nodes) in ranges {
        text += &format!("*{}\r\n:{first}\r\n:{last}\r\n", 2 + nodes.len());
        for (host, port) in *nodes {
            text += &format!("*4\r\n${}\r\n{host}\r\n:{port}\r\n$2\r\nid\r\n*0\r\n", host.len());
        }
    }
    reply(&text)
}

#[test]
fn the_primary_of_the_slot_is_found_by_the_first_node_that_answers() {
    let url = cluster("redis+cluster://me:pw@a,b:7000");
    let mut search = search(&url);
    let ask = asks(&mut search);
    assert_eq!(ask.endpoint.to_string(), "a:6379");
    assert_eq!(ask.url.credentials().unwrap().password, "pw");
    assert!(!ask.url.must_be_primary());
    let ranges = || slots(&[(0, 12_738, &[("a", 6379)]), (12_739, 16_383, &[("c", 1), ("d", 2)])]);
    search.answered(Ok(ranges()));
    let (endpoint, url) = uses(&mut search);
    assert_eq!((endpoint.as_str(), url.must_be_primary()), ("c:1", true));
    // A server that cannot be reached is not tried twice, and those that were named are asked too.
    search.missed(refused()).unwrap();
    assert_eq!(asks(&mut search).endpoint.to_string(), "b:7000");
    search.answered(Ok(ranges()));
    assert_eq!(asks(&mut search).endpoint.to_string(), "c:1");
    search.answered(Err(refused()));
    assert_eq!(asks(&mut search).endpoint.to_string(), "d:2");
    search.answered(Ok(slots(&[(0, 16_383, &[("d", 2)])])));
    assert!(matches!(search.next_step(), Ok(Step::UseAsked)));
}

#[test]
fn a_node_without_a_host_is_at_the_host_that_was_asked() {
    let url = cluster("redis+cluster://a:7000");
    let mut search = search(&url);
    asks(&mut search);
    search.answered(Ok(slots(&[(0, 16_383, &[("", 7000)])])));
    assert!(matches!(search.next_step(), Ok(Step::UseAsked)));
}

#[test]
fn slots_without_a_node_may_heal_and_a_server_of_no_cluster_does_not() {
    let url = cluster("redis+cluster://a");
    let mut unknown = search(&url);
    asks(&mut unknown);
    unknown.answered(Ok(reply("*0\r\n")));
    let error = unknown.next_step().unwrap_err();
    assert!(error.may_heal() && error.to_string().contains("slot 12739"), "{error}");

    let mut disabled = search(&url);
    asks(&mut disabled);
    disabled.answered(Ok(reply("-ERR This instance has cluster support disabled\r\n")));
    let error = disabled.next_step().unwrap_err();
    assert!(!error.may_heal() && error.to_string().contains("write redis://"), "{error}");
}

#[test]
fn any_node_will_do_where_no_slot_is_asked_for() {
    let url = RedisUrl::parse("redis+cluster://a,b").unwrap();
    let mut search = search(&url);
    assert_eq!(uses(&mut search).0, "a:6379");
    search.missed(refused()).unwrap();
    let (endpoint, node) = uses(&mut search);
    assert_eq!((endpoint.as_str(), node.must_be_primary()), ("b:6379", false));
    search.missed(refused()).unwrap();
    let error = search.next_step().unwrap_err();
    assert!(error.may_heal() && error.to_string().contains("node b:6379: connect to x"), "{error}");
}
