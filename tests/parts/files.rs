//! Files over the ring, using real ones.

use std::error::Error as _;
use std::io::ErrorKind;

use crate::executor::on_executor;
use glommio::spawn_local;
use jiggler_uring::io::fs::{self, AppendFile, Durability};

#[test]
fn what_is_written_is_read_back_whatever_its_size() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for size in [0, 1, 4_096, 3 * 1024 * 1024 + 17] {
            let bytes: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
            fs::write(&path, &bytes).await.unwrap();
            assert!(fs::read(&path).await.unwrap() == bytes, "{size} bytes");
        }
        fs::write(&path, "short").await.unwrap();
        fs::append(&path, "er").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"shorter", "a longer file before it is gone");
    });
}

#[test]
fn an_error_names_the_file_and_what_was_tried() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("no-such-directory/file");
        let errors = [
            fs::read(&missing).await.unwrap_err(),
            fs::write(&missing, "x").await.unwrap_err(),
            fs::append(&missing, "x").await.unwrap_err(),
            AppendFile::open(&missing).await.err().unwrap(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), format!("open {}", missing.display()));
            assert_eq!(error.source.kind(), ErrorKind::NotFound);
            assert!(error.source().unwrap().to_string().contains("No such file"));
        }
        let error = fs::read(directory.path()).await.unwrap_err();
        assert_eq!((error.action, error.source.kind()), ("read", ErrorKind::IsADirectory));
    });
}

#[test]
fn a_full_disk_fails_appends_and_later_ones_are_tried_again() {
    on_executor(|| async {
        let full = AppendFile::open("/dev/full").await.unwrap();
        for _ in 0..2 {
            let error = full.append(b"line\n").await.unwrap_err();
            assert_eq!((error.action, error.source.kind()), ("append to", ErrorKind::StorageFull));
        }
    });
}

#[test]
fn lines_of_many_jobs_on_several_cores_are_written_whole_and_once() {
    let (cores, jobs, lines) = (3, 50, 20);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lines");
    std::fs::write(&path, "there before\n").unwrap();
    let threads: Vec<_> = (0..cores)
        .map(|core| {
            let path = path.clone();
            std::thread::spawn(move || {
                on_executor(move || async move {
                    let durability = if core == 0 { Durability::Synced } else { Durability::Written };
                    let file = AppendFile::open_with(&path, durability).await.unwrap();
                    let all: Vec<_> = (0..jobs)
                        .map(|job| {
                            let file = file.clone();
                            spawn_local(async move {
                                for line in 0..lines {
                                    let padding = "x".repeat((job * 31 + line * 7) % 300);
                                    let text = format!("{core} {job} {line} {padding}\n");
                                    file.append(text.as_bytes()).await.unwrap();
                                    // Once it is reported as written, it is there.
                                    if line == 0 && job % 10 == 0 {
                                        let text = text.into_bytes();
                                        let there = std::fs::read(file.path()).unwrap();
                                        assert!(there.windows(text.len()).any(|window| window == text));
                                    }
                                }
                            })
                        })
                        .collect();
                    for job in all {
                        job.await;
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("there before\n"));
    let mut seen = vec![0; cores * jobs];
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<usize> = fields[..3].iter().map(|field| field.parse().unwrap()).collect();
        let (core, job, line) = (numbers[0], numbers[1], numbers[2]);
        assert_eq!(fields[3].len(), (job * 31 + line * 7) % 300, "a torn line");
        assert_eq!(seen[core * jobs + job], line, "lines of one job are in its order, each once");
        seen[core * jobs + job] += 1;
    }
    assert!(seen.iter().all(|&count| count == lines));
}

#[test]
fn more_than_a_batch_at_once_and_nothing_at_all() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let file = AppendFile::open(directory.path().join("big")).await.unwrap();
        file.append(b"").await.unwrap();
        let all: Vec<_> = (0..40_u8)
            .map(|job| {
                let file = file.clone();
                // Together four times the most that is gathered; one alone is larger than that.
                let size = if job == 7 { 1_500_000 } else { 100_000 };
                spawn_local(async move { file.append(&vec![job; size]).await.unwrap() })
            })
            .collect();
        for job in all {
            job.await;
        }
        let bytes = fs::read(file.path()).await.unwrap();
        assert_eq!(bytes.len(), 39 * 100_000 + 1_500_000);
        let pieces = bytes.chunk_by(|a, b| a == b).count();
        assert_eq!(pieces, 40, "each piece is contiguous");
    });
}

#[test]
fn an_abandoned_append_neither_blocks_nor_breaks_the_others() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let file = AppendFile::open(directory.path().join("lines")).await.unwrap();
        for _ in 0..50 {
            let given_up = {
                let file = file.clone();
                spawn_local(async move { file.append(b"perhaps\n").await })
            };
            glommio::executor().yield_task_queue_now().await;
            given_up.cancel().await;
            file.append(b"surely\n").await.unwrap();
        }
        let text = String::from_utf8(fs::read(file.path()).await.unwrap()).unwrap();
        assert_eq!(text.lines().filter(|line| *line == "surely").count(), 50);
        assert!(text.lines().all(|line| ["surely", "perhaps"].contains(&line)), "{text}");
    });
}
