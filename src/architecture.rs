//! How the engine works, for those who change it or rely on its edges: the life of a job, the processes, the map of the
//! modules, the words, the promises and the tests that hold them, and what is known to be weak.
//!
//! Documentation only. How the library is used is on the [front page](crate).
//!
//! # The life of a job
//!
//! ```text
//!  producer ── LPUSH jiggler:list:<queue> ──► queue
//!                                              │ turn: one round trip reports what ran and moves up to n jobs, atomically
//!                                              ▼
//!                     in flight: {jiggler:list:<queue>}:inflight:<uuid>:<shard>:<turn>, owned by one shard
//!                                              │ parse ► look up ► decode arguments ► poll, panics caught
//!                     ┌────────────────────────┼────────────────────────────┐
//!                 Ok: ack                 Err: retry set, then ack     exhausted or no job: dead set, then ack
//!                     ▼                        ▼                            ▼
//!                   gone              poller: due ► queue            inspected, pruned
//! ```
//!
//! An idle shard does not poll: one connection per queue blocks in a move (`BLMOVE`) of one job into the shard's wait list.
//! With more than eight queues control hears from Redis which of them change, over one connection for the process, and tells
//! a shard that waits which have jobs (`control::bell`, `shard::sight`); a turn then names only those.
//! (engine/many_queues.rs) What a killed process held stays in its in-flight lists, under keys that its lease names: when
//! the lease has ended, the reaper of a living process puts the jobs back into their queues and leaves a fence, in case the
//! dead one wakes up. A job that was in flight at four deaths is poison and goes to the dead set.
//!
//! # The process
//!
//! ```text
//! main ─ config ─ boot checks ─ placement ─┬─ shard 0 … n-1   one pinned executor each: connection, slots, handlers
//!                                          ├─ control         one more executor: lease, heartbeat, signals, poller,
//!                                          │                  reaper, steering from outside, service manager
//!                                          ├─ runner          for each application of another language: a keeper thread,
//!                                          │                  its fork server, and children that the shards talk to
//!                                          └─ web             a third with `--web`, pinned nowhere: metrics, probes, pages
//! ```
//!
//! What a shard counts by queue and class is in its own memory. `web` asks for it over the mesh, and otherwise reads what
//! shards and control publish in `stats`. For the fleet, and for what people have done
//! by its pages, it has connections to Redis of its own.
//! Control asks for the same once a minute and appends it to the history that Redis keeps (`wire::history`).
//!
//! # Redis Cluster
//!
//! With `redis+cluster://` each queue is its own realm (`wire::realm`): its list, under the gem's name, and all its state
//! share one hash tag, so every script is still one atomic step on the node that has the slot. A core runs one shard for
//! each queue, a lane, with its own connections; lanes share the core's slots and handlers. Control keeps lease, poller
//! and reaper for each realm. A connection is bound to a slot and asks when it is opened which node has it; `MOVED` ends
//! it. Each script gets an extra key that never exists, which makes a node refuse the script before it begins while its
//! slot is being moved: no script stops half-way. On a single Redis none of this exists: one realm, one lane, the keys of
//! the gem. (engine/cluster.rs, cluster_clients.rs)
//!
//! # Dialects
//!
//! Whose programs share the Redis is one value, chosen where a process, a command or a client starts: `wire::Dialect`. What
//! differs is made from it there: the spelling of keys (`wire::Keyspace`), of payloads (`job::Schema`), and how a process
//! shows itself (`wire::Presence`). Shard, control and client ask these; scripts get one line of Lua that says whether a
//! registry of queues is kept. Beside Sidekiq all promises below hold; in flight is under our own names, which no pattern of
//! Sidekiq's matches. (parts/golden_sidekiq.rs, engine/sidekiq.rs, crash.rs, recovery.rs, cases/stop.rs;
//! alone/ruby_sidekiq.rs with the real gem)
//!
//! # The map
//!
//! A module imports its own folder and lower layers; `tests/tidy` checks that.
//!
//! | layer | modules | purpose |
//! |---|---|---|
//! | 6 process | `cli` [`config`] `boot` `doctor` `embedded` [`builtin`] [`logging`] `server` [`testing`] | the program |
//! | 6 documents | `architecture` | this page |
//! | 5 runtime | `shard` `control` `runner`, `admin` `web` | jobs, here or in children; lease; the command line; metrics |
//! | 4 api | `handler` [`client`] [`cron`] [`io`] `mesh` | what users write; pushing jobs; messages between executors |
//! | 4 operators | `view` `acts` | what operators see and do: models and steps, without text or connection |
//! | 3 store | `store` | every Redis command and script |
//! | 2 transport | `net`: `conn` `blocking` `tokio_conn`, TLS, sentinels, cluster; `timeout` | sockets; limited waits |
//! | 1 formats | `job` `wire` `resp` | bytes in, values out: no socket, no clock |
//! | 0 base | `limits` `time` `ids` `stats` `shutdown` `event` `foreign` `small_file` `balance` | the last: slots |
//!
//! # Words
//!
//! One word for each thing. What every job system has keeps its usual name (queue, retry set, dead set, heartbeat); these
//! are ours:
//!
//! | word | what it means |
//! |---|---|
//! | shard | what runs on one core: an executor, a connection, slots, handlers |
//! | control | the executor that runs no jobs; its tasks are actors: upkeep, poller, reaper, listener, … |
//! | slot | room for one job that waits at an await point; all slots together are the concurrency |
//! | turn | the one call a busy shard makes: report what was settled, fetch what is next |
//! | batch | jobs that one turn brought; they share a list in Redis until each is settled |
//! | settle, report | decide what becomes of a job that ended; write that to Redis |
//! | ledger, settlement | what is settled but not reported yet; the part of it that one turn carries |
//! | ack | the part of a report that says "gone": always last |
//! | tally | what a shard counts by queue and class: outcomes, run times, waits |
//! | hand, read-ahead | jobs that a shard has and has not started; how many it may have (P8) |
//! | rota | the order in which a turn serves the queues, and how many jobs it takes of each |
//! | assignment, cap | how many slots a process gives each queue; how many of them one shard has (`balance`) |
//! | pause | an operator's order that nothing of a queue, or of a class, starts: one key, and a bell for the fleet |
//! | waiter | the connection that blocks in Redis for one queue while its shard is idle |
//! | bell | the connection over which Redis tells of changes: of the sets, to the poller; of many queues, to control |
//! | lease, fence, reaper | a process's claim to its jobs; the mark that ends it; what puts the jobs of the dead back |
//! | lead | the right of one process in a fleet to do what only one should do |
//! | entry, tick | a periodic job as it is stored; a time at which it should run (`cron`) |
//! | holder | a process that declares an entry; the entry goes with the last of them |
//! | realm | keys that live together: all those of a single Redis, or in a cluster those of one queue |
//! | lane, crew | in a cluster a shard for one queue; the lanes of one core |
//! | duty | what control does in one realm |
//! | held | what waits because one key is spoilt, while everything else keeps running |
//! | figures | what a process publishes about itself, in addition to the heartbeat that Ruby reads |
//! | survey | one look at a fleet; `view` has its models |
//! | register | sets that name the queues and processes there are, so that a survey need not walk over all keys |
//! | history, slice, grain | what is kept of the past; a minute, an hour or a day of it; which of the three |
//! | act | what an operator does, as steps that need no connection (`acts`) |
//! | poison | a job that was in flight at four deaths |
//! | runner, child | an application in another language; one of the processes that run its jobs |
//! | keeper, fork server | the thread that starts a runner's processes; the one that has loaded the application (`runner`) |
//! | route | jobs that a runner takes by a pattern of their names |
//!
//! # Promises
//!
//! The code refers to them by these numbers. After each are the clearest of the tests that fail without it, under `tests/`.
//!
//! - P1: At least once (the default): at every instant each accepted job is in a queue, in flight, or in the retry,
//!   scheduled or dead set. The ack comes last; nothing is acked that did not run. (parts/model, parts/protocol_model,
//!   engine/chaos, engine/crash.rs)
//! - P2: At most once (`--mode at-most-once`): a job starts at most once, crash or not. (engine/crash.rs, engine/chaos)
//! - P3: The jobs of a killed process run again within 30 s where another worker of ours is running; otherwise, they run
//!   when the next one starts. A process that is busy, or whose Redis was away, never loses its lease.
//!   (engine/recovery.rs, heartbeat.rs)
//! - P4: A job that takes its process down, or the child process it runs in, is recovered three times; then it goes to the
//!   dead set as poison. (engine/poison.rs, engine/runners.rs, parts/reap.rs)
//! - P5: After any outage of Redis every shard consumes again by itself: one log line when it begins, one when its cause
//!   changes, one when it ends. A connection that was closed while idle is not an outage. (engine/outage.rs,
//!   failover.rs, loading.rs, cases/refusals.rs, cases/passwords.rs, cases/closed_idle.rs, cases/private_redis.rs)
//! - P6: SIGTERM and SIGINT: fetch no more, hand back what has not started, wait `--shutdown-timeout` for the rest, hand
//!   back what is left, exit 0; a second signal: at once. The process ends two seconds after its timeout at the latest,
//!   whatever Redis does. SIGTSTP: quiet. (engine/cases/stop.rs)
//! - P7: A handler's panic ends its job and nothing else. (engine/own_jobs.rs)
//! - P8: A shard does not hold a job unstarted that cannot start within milliseconds. (engine/queues.rs, cases/stop.rs)
//! - P9: What Ruby programs read stays correct: summary, heartbeat, retry and dead entries, counters. (parts/golden.rs,
//!   engine/heartbeat.rs)
//!
//! A tick of a periodic job is pushed once, by the script that claims it by Redis's clock; no promise has a number for that.
//! (parts/cron_fleet.rs, engine/cron.rs)
//!
//! # Invariants
//!
//! - Payload bytes are never re-serialised: what is retried or buried keeps its arguments, unknown fields and order.
//! - Every time that is stored or compared in Redis is Redis's time, read with each renewal of the lease: the clock of a
//!   host matters only for its log. (engine/cases/clocks.rs)
//! - No lock is shared between cores, and no state except counters that one core writes (`stats`).
//! - No job code can delay the lease: control runs none.
//! - No read on a live connection is raced or dropped; to stop one, its socket is shut down.
//! - Nothing is polled: a wait is a blocking command, a timer or an event.
//! - Every buffer, batch, queue and reply has a bound in `limits`.
//! - No log line, error, heartbeat or connection name contains a password; of a url only the destination is shown.
//! - Neither a shard nor control ever waits for the reader of the log. (engine/cases/log_reader.rs)
//! - Text of outside origin is shown bounded and escaped, in tables, errors and log lines alike. (engine/cases/foreign.rs)
//!
//! # Security
//!
//! `rediss://` and `rediss+sentinel://` use TLS through rustls (`net::tls`); the server must present a certificate for its
//! name, and there is no way to trust every server. The ACL rights of a worker, a producer and an operator are in one
//! table (`store::rights`), which a test compares with the commands in the sources; a worker that lacks one of them exits
//! at boot and prints the line to add. Passwords come from a variable or a file; one in a flag causes a warning, because
//! the process list shows it. The private Redis listens on a unix socket in a directory that only its owner can enter
//! (`embedded`).
//!
//! # Known weaknesses of this version
//!
//! - A job that runs for more than a few seconds at the same time as one that kills its process, in that process, at four
//!   deaths, is taken for poison too (P4): nothing shows which of the two it was.
//! - Redis 6.2 cannot say what its user lacks: a worker that loses a right while it runs tries again there, after pauses
//!   that grow to half a minute, and what it has in hand may run as often. From 7.0 on it waits until it has the right.
//! - A quiet Ruby server has no heartbeat: a job that it keeps running for minutes is put back and runs twice, as with the
//!   gem's own requeuer.
//! - After a fail-over to a replica that lags, a job may start twice in at-most-once mode; and the jobs of a process whose
//!   lease was lost that way, and that dies before its next renewal (5 s), wait two to four minutes instead of P3's 30 s.
//! - A handler that prints by itself waits for the reader of its output, and its shard with it. The log's own bounds (lines
//!   dropped, floods summed up) do not help a program that has installed its own log.
//! - A job whose name a worker does not know waits in the retry set for up to half a minute at a time, though another worker
//!   might run it at once; if every poller is off it stays there.
//! - With a `stats_interval` above 10 s a killed worker is called dead only after two of them; in a cluster its heartbeat
//!   stays until it expires.
//! - With `overlap: skip` a run counts as ended that no key of Redis shows, because its worker runs it at most once, or that
//!   is out of reach of a bounded look ([`cron::Overlap`]). An entry that no living process declares is shown until its next
//!   tick. A process that was stopped for hours may push one tick late that `catch_up: none` would have left out, if nobody
//!   else has claimed it. `cron list` does not see either whether such a run has ended.
//! - A pause that is deleted by hand, or lost with a fail-over, is noticed by a process when it next connects or hears the
//!   bell. Jobs of a paused class go round by way of the retry set, some seconds each time, and need a poller. Weights count
//!   jobs and hold within a core; a cluster knows only priorities.
//! - A script that moves one payload of 8 MB holds Redis up for 50 to 130 ms; a plain `RPOP` of it takes 26.
//! - Burying a payload of hundreds of megabytes stalls its shard and then Redis for seconds (one of 400 MB took 75 s in a
//!   debug build on a busy machine): its base64 is made, sent and stored at once.
//! - An outbox that has not pushed anything yet counts a delay by the clock of its host; in a cluster all clients count
//!   delays by the clock of one node.
//! - A primary that is cut off from its sentinels, but not from a worker, is used until it learns that it has been demoted;
//!   `min-replicas-to-write` bounds what it accepts meanwhile.
//! - Beside Sidekiq, a job that is left to Ruby waits in the schedule for up to half a minute at a time, though a Ruby
//!   process might run it at once. What a worker has run since its last heartbeat is missing in the counters of the day if
//!   it is killed. Pages show no metrics of it, and a paused queue (Sidekiq Pro) is served.
//! - The gem's own look-ups go wrong when there are other keys: its requeuer takes jobs of living Ruby servers for stale,
//!   and `Jiggler.summary` and the page miss processes. Ruby servers next to ours need `poller_enabled: false` or their own
//!   database; README has the figures.
//! - History is not kept in a Redis Cluster. It loses the last minute of a process that is killed, and what a process could
//!   not write for more than an hour. An hour and a day are put together once: what comes later, from a process that was
//!   without Redis meanwhile, is shown by the minute only. Each process writes minutes of its own, so they cost as often.
//!   The age of the oldest job is not in it, since no payload says it. Up to 72 keys for minutes, 30 for hours and 58 for
//!   days come between those of the gem, whose look-ups fail more often with each.
//! - Pages know how fast a queue grows only from looks at pages of the last minutes, so the first page knows no rates. A
//!   page with a payload of many megabytes takes the web thread up to a second, in which nothing else is answered. Bytes
//!   that are no job are hidden as a whole if they speak of a secret; an error's message is shown whatever it says.
//! - How long a job waited in its queue is not measured: no payload says when it was pushed. Metrics and pages of
//!   the fleet are not shown for a Redis Cluster.
//! - In a database of more than a thousand keys, a queue or process that only Ruby programs have made is shown once the walk
//!   of a worker has come across it: minutes, or an hour where no worker of ours runs; `--look` finds it at once. A Redis
//!   Cluster has no register, so every look walks over all keys of each node.
//! - In a Redis Cluster: while a queue's slot is being moved nothing of that queue runs, and what ended meanwhile is acked
//!   afterwards. `retry` copies a job that names another queue than that of its set and then removes it; if it is
//!   interrupted in between, the job is in both. `prune` goes from queue to queue, so an interrupted one has pruned some of
//!   them; `top` sees the queues of a node that joined once a slot that it knows moves. The watchdog does not notice a node
//!   that is silent without closing its connections while others answer; the calls to that node do, when they are late. A
//!   job that is retried in another queue may run in both after a crash. If none of the url's nodes is up there is no way
//!   in, though the cluster may be alive: name several.
//!
//! [`builtin`]: crate::builtin
//! [`client`]: crate::client
//! [`config`]: crate::config
//! [`cron`]: crate::cron
//! [`cron::Overlap`]: crate::cron::Overlap
//! [`io`]: crate::io
//! [`logging`]: crate::logging
//! [`testing`]: crate::testing
