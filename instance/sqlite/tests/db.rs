//! The database through its public face: durability, isolation of jobs, locking, migrations, the outbox.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "reads and holders of locks that take their time have threads of their own"
)]

use qd_sqlite::{
    Db, DbError,
    outbox::{self, Agreement, Receipt},
};

const V1: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);";
const V2: &str = "ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 0;";

async fn add(db: &Db, text: &'static str) -> Result<(), DbError> {
    db.write(move |c| {
        c.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
        Ok(())
    })
    .await
}

async fn count(db: &Db) -> i64 {
    db.read(|c| Ok::<_, DbError>(c.query_row("SELECT count(*) FROM notes", [], |r| r.get(0))?)).await.unwrap()
}

#[tokio::test]
async fn one_failing_job_does_not_take_its_neighbours_along() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[V1]).unwrap();
    add(&db, "x").await.unwrap();
    let jobs: Vec<_> = (0..64)
        .map(|i| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write(move |c| {
                    let text = if i % 2 == 0 { "x".to_owned() } else { format!("n{i}") };
                    c.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
                    Ok::<_, DbError>(())
                })
                .await
            })
        })
        .collect();
    let mut refused = 0;
    for job in jobs {
        refused += i32::from(job.await.unwrap().is_err());
    }
    assert_eq!((refused, count(&db).await), (32, 33));
}

#[tokio::test]
async fn processes_that_share_a_file_write_one_after_the_other_and_nobody_else_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let (one, other) = (Db::shared(&path, &[V1]).unwrap(), Db::shared(&path, &[V1]).unwrap());
    let jobs: Vec<_> = (0..64)
        .map(|i| {
            let db = if i % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                db.write(move |c| {
                    // What was read is what stands there until the commit: the next number is nobody else's.
                    let last: i64 = c.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
                    c.execute("INSERT INTO notes (text) VALUES (?1)", [format!("n{last}")])?;
                    Ok::<_, DbError>(())
                })
                .await
            })
        })
        .collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    assert_eq!((count(&one).await, count(&other).await), (64, 64));
    assert!(matches!(Db::open(&path, &[V1]), Err(DbError::Locked { .. })));
    drop((one, other));
    let alone = Db::open(&path, &[V1]).unwrap();
    assert!(matches!(Db::shared(&path, &[V1]), Err(DbError::Locked { .. })));
    assert_eq!(count(&alone).await, 64);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let db = Db::open(&path, &[V1]).unwrap();
    let error = Db::open(&path, &[V1]).err().unwrap();
    assert!(matches!(&error, DbError::Locked { holder, .. } if *holder == std::process::id().to_string()));
    drop(db);
    assert_eq!(Db::open(&path, &[V1]).unwrap().generation(), 2);
}

/// A process that is killed while it starts another one leaves its lock with that one, until it is a program of its own.
#[tokio::test]
async fn a_lock_that_outlives_its_holder_for_a_moment_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let lock = std::fs::File::create(path.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(lock);
    });
    let db = Db::open(&path, &[V1]).unwrap();
    holder.join().unwrap();
    add(&db, "fine").await.unwrap();
}

#[tokio::test]
async fn an_old_file_is_upgraded_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    add(&Db::open(&path, &[V1]).unwrap(), "kept").await.unwrap();
    let db = Db::open(&path, &[V1, V2]).unwrap();
    let stars: i64 = db
        .read(|c| {
            Ok::<_, DbError>(c.query_row("SELECT stars FROM notes WHERE text='kept'", [], |r| r.get(0))?)
        })
        .await
        .unwrap();
    assert_eq!(stars, 0);
    drop(db);
    assert!(matches!(Db::open(&path, &[V1]), Err(DbError::Newer { found: 2, known: 1, .. })));
}

#[tokio::test]
async fn a_superseded_process_can_write_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let old = Db::open(&path, &[V1]).unwrap();
    std::fs::remove_file(path.with_extension("lock")).unwrap();
    let new = Db::open(&path, &[V1]).unwrap();
    assert!(matches!(add(&old, "late").await, Err(DbError::Superseded)));
    add(&new, "fine").await.unwrap();
    assert_eq!(count(&new).await, 1);
}

#[tokio::test]
async fn the_outbox_numbers_without_gaps_and_merges_living_states() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[outbox::SCHEMA]).unwrap();
    let bodies = db
        .write(|c| {
            for (living, body) in [(Some("f1"), "old"), (None, "fact"), (Some("f1"), "new")] {
                outbox::push(c, "bot", living, 0, body)?;
            }
            let shipped = outbox::ship(c, "bot", 10)?;
            outbox::push(c, "bot", Some("f1"), 0, "newer")?;
            let all = outbox::ship(c, "bot", 10)?;
            assert_eq!(all[..2], shipped[..]);
            outbox::acknowledge(c, "bot", 1, 2)?;
            outbox::acknowledge(c, "bot", 1, 99)?;
            assert_eq!(outbox::waiting(c, "bot")?, 1);
            Ok::<_, DbError>(all.into_iter().map(|r| (r.seq, r.body)).collect::<Vec<_>>())
        })
        .await
        .unwrap();
    assert_eq!(bodies, [(1, "new".into()), (2, "fact".into()), (3, "newer".into())]);
}

#[tokio::test]
async fn what_was_received_is_not_applied_twice_nor_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[outbox::SCHEMA]).unwrap();
    let receipts = db
        .write(|c| {
            [(1, 1), (1, 1), (1, 3), (1, 2), (2, 2), (2, 1), (1, 3)]
                .into_iter()
                .map(|(epoch, seq)| outbox::receive(c, "alpha", epoch, seq))
                .collect::<Result<Vec<_>, DbError>>()
        })
        .await
        .unwrap();
    use Receipt::*;
    assert_eq!(receipts, [New, Seen, Gap, New, Gap, New, Seen]);
}

#[tokio::test]
async fn reads_share_few_threads_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[V1]).unwrap();
    let thread = |db: Db| async move {
        db.read(|c| {
            c.query_row("SELECT count(*) FROM notes", [], |_| Ok(()))?;
            Ok::<_, DbError>(std::thread::current().id())
        })
        .await
        .unwrap()
    };
    let alone = [thread(db.clone()).await, thread(db.clone()).await];
    assert_eq!(alone[0], alone[1], "reads that do not overlap need one thread");
    let reads: Vec<_> = (0..200).map(|_| tokio::spawn(thread(db.clone()))).collect();
    let mut threads = std::collections::HashSet::new();
    for read in reads {
        threads.insert(read.await.unwrap());
    }
    assert!(threads.len() <= 4, "{} threads", threads.len());
}

#[tokio::test]
async fn a_read_that_panics_has_no_answer_and_the_next_one_has() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[V1]).unwrap();
    for _ in 0..8 {
        let answer = db.read(|_| -> Result<(), DbError> { panic!("on purpose") }).await;
        assert!(matches!(answer, Err(DbError::Closed)));
    }
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_gives_its_place_back() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[V1]).unwrap();
    for _ in 0..8 {
        let slow = db.read(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok::<_, DbError>(())
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), slow).await.is_err());
    }
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn two_sides_that_do_not_know_of_the_same_rows_begin_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("a.db"), &[outbox::SCHEMA]).unwrap();
    let shipped = db
        .write(|c| {
            assert_eq!(outbox::agree(c, "bot", 0, 0)?, Agreement::Same, "both are new");
            for (living, body) in [(None, "one"), (Some("f1"), "old"), (None, "two")] {
                outbox::push(c, "bot", living, 0, body)?;
            }
            outbox::ship(c, "bot", 10)?;
            assert_eq!(outbox::agree(c, "bot", 0, 0)?, Agreement::Same, "it has not taken them yet");
            assert_eq!(outbox::agree(c, "bot", 1, 2)?, Agreement::Same, "it has, and that was not heard");
            outbox::acknowledge(c, "bot", 1, 1)?;
            outbox::push(c, "bot", Some("f1"), 0, "newer")?;
            assert_eq!(
                outbox::agree(c, "bot", 0, 0)?,
                Agreement::PeerLost,
                "it lost what it had acknowledged"
            );
            assert_eq!(outbox::agree(c, "bot", 0, 0)?, Agreement::Same, "and is told from the beginning");
            let all = outbox::ship(c, "bot", 10)?;
            outbox::acknowledge(c, "bot", 2, 2)?;
            assert_eq!(outbox::agree(c, "bot", 2, 9)?, Agreement::OwnLost, "it has what this side lost");
            assert_eq!(
                outbox::agree(c, "bot", 5, 1)?,
                Agreement::OwnLost,
                "and of an epoch that this side never began"
            );
            outbox::push(c, "bot", None, 0, "three")?;
            let last = outbox::ship(c, "bot", 10)?;
            Ok::<_, DbError>([all, last].concat())
        })
        .await
        .unwrap();
    let shipped: Vec<_> = shipped.iter().map(|row| (row.epoch, row.seq, row.body.as_str())).collect();
    assert_eq!(shipped, [(2, 1, "two"), (2, 2, "newer"), (6, 1, "three")]);
}
