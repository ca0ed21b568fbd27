//! How the commands handle replies: any reply anywhere is read or refused, and never panics.
//!
//! Replies come from Redis, so normally each has one shape; a proxy, a server of another kind or a user's own keys
//! may answer differently. Not here: bytes that are not replies (`resp`).

use jiggler_uring::internal::net::Handshake;
use jiggler_uring::internal::resp::decode::Decoder;
use jiggler_uring::internal::resp::{RedisUrl, Reply, Requests, Value};
use jiggler_uring::internal::store::entries::{self, Order, Window};
use jiggler_uring::internal::store::ruby_lists::{self, Look};
use jiggler_uring::internal::store::scripts::{LOAD_REPLIES, Scripts};
use jiggler_uring::internal::store::survey::{Scope, Survey};
use jiggler_uring::internal::store::turn::TurnReply;
use jiggler_uring::internal::store::{
    cancel, due, enqueue, flight, lead, operate, process, progress, recovery,
};
use jiggler_uring::internal::wire::{Dialect, keys::JIGGLER};

/// Replies per case; more add nothing new.
const REPLIES_MAX: usize = 64;

/// Lookups of one survey: a cursor that never comes round would go on forever.
const ROUNDS_MAX: usize = 16;

/// Reads every reply in the bytes as a reply to each command.
pub fn run(data: &[u8]) {
    let mut decoder = Decoder::default();
    decoder.feed(data);
    let mut replies = Vec::new();
    while let (Ok(Some(reply)), true) = (decoder.next_reply(), replies.len() < REPLIES_MAX) {
        replies.push(reply);
    }
    for reply in &replies {
        read_alone(reply);
    }
    survey(&replies);
    look(&replies);
    shake_hands(&replies);
    for from in 0..replies.len() {
        let hashes = &replies[from..replies.len().min(from + LOAD_REPLIES)];
        let all_bulk = hashes.len() == LOAD_REPLIES && hashes.iter().all(|hash| hash.as_bulk().is_ok());
        assert_eq!(Scripts::read(JIGGLER.shared_realm(), hashes).is_ok(), all_bulk);
        read_turn(&replies[from..]);
    }
}

/// Reads the replies as those to a turn, with and without lists after it.
fn read_turn(replies: &[Reply]) {
    for order in [&[][..], &[0], &[2, 0, 1]] {
        for count in [1, 1 + order.len()] {
            let replies = &replies[..replies.len().min(count)];
            if let Ok(turn) = TurnReply::read(replies, order) {
                assert!(turn.fetched.iter().all(|fetched| order.contains(&fetched.queue)));
            }
        }
    }
}

fn read_alone(reply: &Reply) {
    if let Value::Error(error) = reply.value() {
        assert_eq!(error.to_owned().kind(), error.kind());
        assert!(!error.to_owned().to_string().is_empty());
    }
    let integer = reply.as_integer().is_ok();
    assert!(!integer || recovery::read_reaped(reply).is_ok());
    assert!(!enqueue::pushed(reply).is_ok_and(|_| !integer));
    assert!(!enqueue::scheduled(reply).is_ok_and(|_| !integer));
    assert_eq!(lead::read_first(reply).is_ok(), integer);
    assert!(!cancel::told(reply).is_ok_and(|_| !integer));
    assert!(!lead::read_renewed(reply, "06c7221317f9").is_err_and(|error| error.to_string().is_empty()));
    assert!(!progress::reported(reply).is_err_and(|error| error.to_string().is_empty()));
    let array = reply.as_array().is_ok();
    assert!(!recovery::read_freed(reply).is_ok_and(|_| !array));
    assert!(!ruby_lists::read_rescued(reply).is_ok_and(|_| !array));
    assert!(!process::read_lease(reply).is_ok_and(|_| !array));
    assert!(!recovery::read_reaped(reply).is_ok_and(|_| !array && !integer));
    assert!(!cancel::wanted(reply).is_ok_and(|_| !array));
    assert!(!due::read_due(reply).is_ok_and(|_| !array));
    assert!(!flight::read_batches(reply).is_ok_and(|_| !array));
    for order in [Order::Newest, Order::Oldest] {
        let page = entries::read_page(reply, Window { skip: 7, count: 2, order });
        assert!(!page.is_ok_and(|_| !array));
    }
    assert!(!operate::read_requeued(reply).is_ok_and(|_| !array));
    assert!(!operate::read_killed(reply).is_ok_and(|_| !array));
    assert!(!operate::read_deleted(reply).is_ok_and(|_| !array));
    assert!(!operate::read_pruned(reply).is_ok_and(|_| !integer));
}

/// Answers surveys with the replies, over and over.
fn survey(replies: &[Reply]) {
    let mut answers = replies.iter().cycle();
    let spellings = [false, true].map(|is_cluster| Dialect::Jiggler.keys(is_cluster));
    let surveys = spellings.map(|keys| Survey::once(Scope::Everything, keys)).into_iter();
    for mut survey in surveys.chain([Survey::again(Scope::Everything, JIGGLER)]) {
        let mut requests = Requests::new();
        for _ in 0..ROUNDS_MAX {
            requests.clear();
            if replies.is_empty() || !survey.write(&mut requests) {
                break;
            }
            let page: Vec<Reply> = answers.by_ref().take(requests.len_commands()).cloned().collect();
            if let Err(error) = survey.accept(&page) {
                assert!(!error.to_string().is_empty());
                break;
            }
        }
        assert!(!format!("{:?}", survey.finish()).is_empty());
    }
}

/// Answers a lookup of the lists of Ruby servers with the replies.
fn look(replies: &[Reply]) {
    let mut look = Look::new(JIGGLER);
    let mut requests = Requests::new();
    for reply in replies {
        if !look.write(&mut requests) || look.accept(reply).is_err() {
            break;
        }
    }
    for list in look.finish().lists {
        assert!(!list.queue.is_empty() && list.uuid.len() == 12, "not the gem's: {list:?}");
    }
}

fn shake_hands(replies: &[Reply]) {
    let url = RedisUrl::parse("redis://user:S3cr3t!@h/3").unwrap();
    let mut handshake = Handshake::new(&url, "jiggler-uring:1");
    for reply in replies {
        if handshake.is_complete() {
            return;
        }
        if let Err(error) = handshake.accept(reply) {
            let shown = format!("{error} {error:?} {handshake:?}");
            assert!(!shown.contains("S3cr3t!"), "an error shows the password");
            return;
        }
    }
}
