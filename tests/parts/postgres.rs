//! PostgreSQL over the ring, against a server that the test starts: queries, transactions, what a job leaves behind,
//! a server that goes away, TLS.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::executor::on_executor;
use crate::postgres_server::{PASSWORD, PostgresServer};
use glommio::spawn_local;
use jiggler_uring::io::postgres::tokio_postgres::Config;
use jiggler_uring::io::postgres::{Error, Pool, PoolOptions};
use jiggler_uring::io::timer;
use jiggler_uring::io::tls::TlsOptions;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

fn pool_of(config: &str, connections_max: usize) -> Pool {
    let options = PoolOptions { connections_max, ..PoolOptions::default() };
    Pool::with_options(config.parse::<Config>().unwrap(), options).unwrap()
}

/// The process that serves a connection.
async fn backend(pool: &Pool) -> i32 {
    pool.get().await.unwrap().query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0)
}

#[test]
fn queries_run_over_tcp_and_a_unix_socket_and_connections_are_kept() {
    let server = PostgresServer::start();
    for config in [server.config(), server.unix_config()] {
        on_executor(move || async move {
            let pool = pool_of(&config, 1);
            let first = backend(&pool).await;
            for _ in 0..3 {
                assert_eq!(backend(&pool).await, first);
            }
            let conn = pool.get().await.unwrap();
            let row =
                conn.query_one("SELECT $1::bigint + 1, $2::text || 'ß'", &[&41_i64, &"a"]).await.unwrap();
            assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (42, "aß".to_owned()));
            let wide = conn.query_one("SELECT repeat('x', 3000000)", &[]).await.unwrap();
            assert_eq!(wide.get::<_, String>(0).len(), 3_000_000);
            let error = conn.query_one("SELECT 1/0", &[]).await.unwrap_err();
            assert!(format!("{:?}", error.as_db_error()).contains("division by zero"), "{error:?}");
            // The only one allowed: another could be opened while this one is being reset for the next job.
            drop(conn);
            assert_eq!(backend(&pool).await, first, "a failed query breaks no connection");
        });
    }
}

#[test]
fn jobs_use_the_connections_opened_ahead_of_time() {
    let server = PostgresServer::start();
    let config = server.config();
    on_executor(move || async move {
        let pool = pool_of(&config, 3);
        assert_eq!(pool.warm_up(2).await.unwrap(), 2);
        let used = pool.get().await.unwrap();
        assert_eq!(pool.warm_up(3).await.unwrap(), 1, "the one that is used counts");
        let others = [pool.get().await.unwrap(), pool.get().await.unwrap()];
        let count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        assert_eq!(used.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 3);
        drop((used, others));
        let error = pool.warm_up(4).await.unwrap_err();
        assert!(
            matches!(error, Error::Config { .. }) && error.to_string().contains("connections_max"),
            "{error}"
        );
    });
}

#[test]
fn jobs_wait_their_turn_for_a_bounded_number_of_connections() {
    let server = PostgresServer::start();
    let config = server.config();
    on_executor(move || async move {
        let pool = pool_of(&config, 2);
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let jobs: Vec<_> = (0..50)
            .map(|_| {
                let (pool, running, most) = (pool.clone(), Rc::clone(&running), Rc::clone(&most));
                spawn_local(async move {
                    let conn = pool.get().await.unwrap();
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    conn.query_one("SELECT pg_sleep(0.002)", &[]).await.unwrap();
                    running.set(running.get() - 1);
                })
            })
            .collect();
        for job in jobs {
            job.await;
        }
        assert_eq!(most.get(), 2);
        let count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        assert_eq!(pool.get().await.unwrap().query_one(count, &[]).await.unwrap().get::<_, i64>(0), 2);

        let wait_timeout = Duration::from_millis(50);
        let options = PoolOptions { connections_max: 1, wait_timeout, ..PoolOptions::default() };
        let pool = Pool::with_options(config.parse().unwrap(), options).unwrap();
        let held = pool.get().await.unwrap();
        let error = pool.get().await.err().unwrap();
        assert!(matches!(error, Error::WaitTimeout { connections_max: 1, .. }), "{error}");
        drop(held);
        assert!(pool.get().await.is_ok());
    });
}

#[test]
fn what_a_job_left_unfinished_does_not_affect_the_next() {
    let server = PostgresServer::start();
    let config = server.config();
    on_executor(move || async move {
        let pool = pool_of(&config, 1);
        let conn = pool.get().await.unwrap();
        conn.batch_execute("CREATE TABLE notes (text text)").await.unwrap();
        drop(conn);
        let first = backend(&pool).await;
        // A transaction that is dropped is rolled back, and its connection is kept.
        {
            let mut conn = pool.get().await.unwrap();
            let transaction = conn.transaction().await.unwrap();
            transaction.execute("INSERT INTO notes VALUES ('dropped')", &[]).await.unwrap();
        }
        assert_eq!(backend(&pool).await, first);
        // One that was begun by hand and forgotten takes its connection with it.
        pool.get()
            .await
            .unwrap()
            .batch_execute("BEGIN; INSERT INTO notes VALUES ('forgotten')")
            .await
            .unwrap();
        let second = backend(&pool).await;
        assert_ne!(second, first);
        // A query that is dropped while it runs: the next job does not get its connection before it has ended.
        let begun = {
            let pool = pool.clone();
            spawn_local(async move {
                let conn = pool.get().await.unwrap();
                conn.execute("INSERT INTO notes SELECT 'slow' FROM pg_sleep(0.05)", &[]).await.unwrap();
            })
        };
        timer::sleep(Duration::from_millis(10)).await;
        begun.cancel().await;
        let conn = pool.get().await.unwrap();
        let row = conn
            .query_one("SELECT pg_backend_pid(), coalesce(string_agg(text, ' '), '') FROM notes", &[])
            .await;
        let row = row.unwrap();
        // However far the dropped query had come, none of its answers is taken for this one's.
        assert!(["", "slow"].contains(&row.get::<_, &str>(1)), "{}", row.get::<_, &str>(1));
    });
}

#[test]
fn a_query_that_nobody_waits_for_is_eventually_cancelled() {
    let server = PostgresServer::start();
    let config = server.config();
    on_executor(move || async move {
        let pool = pool_of(&config, 1);
        let left = {
            let pool = pool.clone();
            spawn_local(async move {
                let conn = pool.get().await.unwrap();
                conn.batch_execute("SELECT pg_sleep(3600)").await.unwrap();
            })
        };
        let observer = pool_of(&config, 1);
        let sleeping =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND state = 'active'";
        let count = async |expected: i64| {
            while observer.get().await.unwrap().query_one(sleeping, &[]).await.unwrap().get::<_, i64>(0)
                != expected
            {
                timer::sleep(Duration::from_millis(20)).await;
            }
        };
        count(1).await;
        left.cancel().await;
        count(0).await;
        // Its place among the connections is free again.
        assert!(backend(&pool).await > 0);
    });
}

#[test]
fn broken_connections_are_replaced_when_the_server_is_back() {
    let mut server = PostgresServer::start();
    let (config, port) = (server.config(), server.port());
    let (go, gone) = channel();
    let (say, said) = channel();
    let test = std::thread::spawn(move || {
        on_executor(move || async move {
            let pool = pool_of(&config, 2);
            // Opened before the other is asked for: which of two logins ends first is up to the server.
            let conn = pool.get().await.unwrap();
            let running = spawn_local(async move { conn.batch_execute("SELECT pg_sleep(3600)").await });
            backend(&pool).await;
            say.send(()).unwrap();
            let () = gone.recv().unwrap();
            assert!(running.await.is_err(), "a query ends with its server");
            let error = pool.get().await.err();
            let error = match error {
                Some(error) => error,
                // The idle connection was not yet known to be closed.
                None => loop {
                    if let Some(error) = pool.get().await.err() {
                        break error;
                    }
                    timer::sleep(Duration::from_millis(5)).await;
                },
            };
            assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
            say.send(()).unwrap();
            let () = gone.recv().unwrap();
            assert!(backend(&pool).await > 0);
        });
    });
    said.recv().unwrap();
    server.kill();
    go.send(()).unwrap();
    said.recv().unwrap();
    server.start_again();
    go.send(()).unwrap();
    test.join().unwrap();
}

#[test]
fn an_error_says_what_is_wrong_with_a_configuration_and_shows_no_password() {
    let server = PostgresServer::start();
    let port = server.port();
    on_executor(move || async move {
        for config in
            ["host=", "user=app", "host=a port=x password=geheim-4711", "host=a sslnegotiation=direct"]
        {
            let error = Pool::new(config).err().unwrap();
            assert!(matches!(error, Error::Config { .. }), "{config}: {error}");
            assert!(!format!("{error} {error:?}").contains(PASSWORD));
        }
        let pool =
            pool_of(&format!("host=127.0.0.1 port={port} user=app password=falsch-11 dbname=postgres"), 1);
        let error = pool.get().await.err().unwrap();
        assert!(
            matches!(error, Error::Login { .. }) && !format!("{error:?}").contains("falsch-11"),
            "{error:?}"
        );
        // A failure does not lose the place among the connections.
        assert!(matches!(pool.get().await, Err(Error::Login { .. })));
        // The second host is tried if the first is dead or is not what was asked for.
        let hosts =
            format!("host=127.0.0.1,127.0.0.1 port=1,{port} user=app password={PASSWORD} dbname=postgres");
        assert!(backend(&pool_of(&hosts, 1)).await > 0);
        let pool = pool_of(&format!("{hosts} target_session_attrs=read-only"), 1);
        let error = pool.get().await.err().unwrap();
        assert!(format!("{error:?}").contains("transaction_read_only"), "{error:?}");
    });
}

#[test]
fn connections_are_encrypted_to_a_trusted_server_and_no_other() {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let files = tempfile::tempdir().unwrap();
    let ca_file = files.path().join("ca.pem");
    std::fs::write(&ca_file, ca.pem()).unwrap();

    let mut server = PostgresServer::start();
    server.encrypt(&certificate.pem(), &key.serialize_pem());
    let (port, login) = (server.port(), format!("user=app password={PASSWORD} dbname=postgres"));
    let plain = PostgresServer::start();
    let plain_port = plain.port();
    on_executor(move || async move {
        let pool = |config: String, ca: bool| {
            let tls = TlsOptions { ca_file: ca.then(|| ca_file.clone()), system_roots: !ca };
            let options = PoolOptions { tls, ..PoolOptions::default() };
            Pool::with_options(config.parse().unwrap(), options).unwrap()
        };
        let encrypted = async |pool: Pool| {
            let conn = pool.get().await?;
            let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            Ok::<bool, Error>(conn.query_one(query, &[]).await.unwrap().get(0))
        };
        let to =
            |host: &str, port: u16, mode: &str| format!("host={host} port={port} {login} sslmode={mode}");
        assert!(encrypted(pool(to("localhost", port, "require"), true)).await.unwrap());
        assert!(encrypted(pool(to("localhost", port, "prefer"), true)).await.unwrap());
        assert!(!encrypted(pool(to("localhost", port, "disable"), true)).await.unwrap());
        assert!(!encrypted(pool(to("localhost", plain_port, "prefer"), true)).await.unwrap());
        let refused = [
            (to("localhost", plain_port, "require"), true, "does not speak tls"),
            (to("127.0.0.1", port, "require"), true, "NotValidForName"),
        ];
        for (config, ca, says) in refused {
            let error = encrypted(pool(config, ca)).await.unwrap_err();
            assert!(
                matches!(error, Error::Connect { .. }) && format!("{error:?}").contains(says),
                "{error:?}"
            );
        }
    });
}
