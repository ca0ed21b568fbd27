//! In steady state nothing is allocated per job: not by a parser for the envelope, for arguments whose types need
//! none or for other payloads of the same kind in between; and not by a shard for running a job that does not wait.

use std::time::Duration;

use allocation_counter::measure;
use bytes::Bytes;
use futures_lite::future::{block_on, poll_once};
use glommio::{LocalExecutorBuilder, Placement};
use jiggler_uring::internal::Dispatch;
use jiggler_uring::internal::job::parse::Parser;
use jiggler_uring::{Registry, options};

#[test]
fn parsing_and_decoding_allocate_nothing_in_steady_state() {
    let payloads = [
        r#"{"name":"ResizeImageJob","args":[8467123,1280,"png"],"retries":5,"jid":"0db89b3e2a1cde66"}"#,
        r#"{"name":"N","args":[1,2.5,"l\u00e4ng\n"],"retries":0,"jid":"x","attempt":1,"queue":"q","more":{"a":[1,2,[]]}}"#,
    ];
    let mut parser = Parser::default();
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

async fn resize(id: u64, width: u32, height: Option<u32>) {
    assert!(id > 0 && width > 0 && height.is_none());
}

/// A batch has a fixed cost; how many jobs are in it makes no difference.
#[test]
fn a_shard_allocates_for_a_batch_and_not_for_its_jobs() {
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
    executor.run(async {
        let registry =
            Registry::new(()).job("ResizeImageJob", options(resize).timeout(Duration::from_secs(1)));
        let dispatch = Dispatch::new(registry, 10).unwrap();
        let job = Bytes::from_static(
            br#"{"name":"ResizeImageJob","args":[8467123,1280],"retries":5,"jid":"0db89b3e2a1cde66"}"#,
        );
        let allocations = async |jobs: usize| {
            loop {
                let mut run = Box::pin(dispatch.run(vec![job.clone(); jobs]));
                // Nothing in it waits, so it ends on its first poll, unless this thread lost its core for a slice.
                let mut ended = None;
                let counted = measure(|| ended = block_on(poll_once(&mut run)));
                match ended {
                    Some(ran) => {
                        assert_eq!(ran, (jobs as u64, 0));
                        return counted.count_total;
                    }
                    None => assert_eq!(run.await.0, jobs as u64),
                }
            }
        };
        let _warm = (allocations(100).await, allocations(100).await);
        let (small, large) = (allocations(10).await, allocations(100).await);
        assert_eq!(small, large, "allocations for a batch of 10 and of 100");
    });
}
