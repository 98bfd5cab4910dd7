//! The one thread that writes to SQLite: it gathers waiting jobs into one transaction and answers them after its commit.
//! `Sqlite` hands it closures; each runs in its own savepoint, so a failing job leaves the others of its group alone.
//! Durability costs one sync per group, which is what makes `synchronous = FULL` affordable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::keeper::Keeper;
use super::{failure, lock};
use crate::{Outage, StoreError};

/// Jobs in one commit.
const GROUP: usize = 128;
/// Jobs that may wait; beyond it callers wait for a place.
const QUEUE: usize = 1_024;
/// How long a caller waits for a place in the queue.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);
const COMMIT_ATTEMPTS: usize = 5;

pub(super) struct Writer {
    queue: Option<flume::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// Work that can run again when its group is lost, and that is told the group's end.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Work<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&Connection) -> Result<T, StoreError> + Send> Job for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.result = Some((self.work)(connection)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or(StoreError::outage(Outage::Unknown)));
        // A caller that went away does not undo its commit.
        let _ = reply.send(answer);
    }
}

impl Writer {
    /// Writes through `connection`, with the `keeper` out of the way while it commits.
    pub(super) fn start(connection: Arc<Mutex<Connection>>, keeper: Option<Keeper>) -> Result<Self, StoreError> {
        let (queue, jobs) = flume::bounded(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write(&connection, keeper.as_ref(), &jobs))
            .map_err(|error| StoreError::outage(Outage::Storage(error.kind().to_string())))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` in a savepoint and answers once its group is on disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::outage(Outage::Unreachable("the writer stopped".into()));
        let (reply, answer) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work { work, result: None, reply });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        match tokio::time::timeout(ACCEPT_TIMEOUT, queue.send_async(job)).await {
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(StoreError::outage(Outage::Unknown))),
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(StoreError::outage(Outage::Busy)),
        }
    }
}

impl Drop for Writer {
    /// Lets queued jobs finish, so that a store that is dropped has nothing pending.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(connection: &Mutex<Connection>, keeper: Option<&Keeper>, jobs: &flume::Receiver<Box<dyn Job>>) {
    let mut again = VecDeque::new();
    loop {
        let first = match again.pop_front() {
            Some(job) => job,
            None => match jobs.recv() {
                Ok(job) => job,
                Err(_) => return,
            },
        };
        let mut group = vec![first];
        while group.len() < GROUP {
            match again.pop_front().or_else(|| jobs.try_recv().ok()) {
                Some(job) => group.push(job),
                None => break,
            }
        }
        let connection = lock(connection);
        if !connection.is_autocommit() {
            let _ = control(&connection, "ROLLBACK");
        }
        if let Err(error) = control(&connection, "BEGIN IMMEDIATE") {
            // Whoever else waits would wait as long again for the same lock: all hear of it now.
            group.extend(jobs.drain());
            fail(group, &error);
            continue;
        }
        again = run_group(&connection, keeper, group);
    }
}

/// Runs a group inside the open transaction and ends it. Yields the jobs that must run again.
fn run_group(connection: &Connection, keeper: Option<&Keeper>, group: Vec<Box<dyn Job>>) -> VecDeque<Box<dyn Job>> {
    let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(group.len());
    // A refusal may come from what another job of the group wrote. Whoever hears of it looks for that, so it has to be there.
    let mut refused: Vec<(Box<dyn Job>, StoreError)> = Vec::new();
    let mut group = VecDeque::from(group);
    while let Some(mut job) = group.pop_front() {
        let outcome = run_job(connection, job.as_mut());
        if connection.is_autocommit() {
            // Errors such as a full disk roll the whole transaction back. The jobs before it did nothing wrong.
            match outcome {
                Ok(()) => done.push(job),
                Err(error) => job.finish(Err(error)),
            }
            done.extend(refused.into_iter().map(|(job, _)| job));
            done.extend(group);
            return done.into();
        }
        match outcome {
            Ok(()) => done.push(job),
            Err(error) => refused.push((job, error)),
        }
    }
    match commit(connection, keeper) {
        Ok(()) => {
            done.into_iter().for_each(|job| job.finish(Ok(())));
            refused.into_iter().for_each(|(job, error)| job.finish(Err(error)));
        }
        Err(error) => {
            if !connection.is_autocommit() {
                let _ = control(connection, "ROLLBACK");
            }
            done.extend(refused.into_iter().map(|(job, _)| job));
            fail(done, &error);
        }
    }
    VecDeque::new()
}

fn run_job(connection: &Connection, job: &mut dyn Job) -> Result<(), StoreError> {
    control(connection, "SAVEPOINT job")?;
    let outcome = job.run(connection);
    if connection.is_autocommit() {
        return outcome.and(Err(StoreError::outage(Outage::Storage("the transaction was rolled back".into()))));
    }
    let undo = || if outcome.is_err() { control(connection, "ROLLBACK TO job") } else { Ok(()) };
    if let Err(error) = undo().and_then(|()| control(connection, "RELEASE job")) {
        // Half a job must never reach the commit: give the whole transaction up, the other jobs run again.
        let _ = control(connection, "ROLLBACK");
        return outcome.and(Err(error));
    }
    outcome
}

fn commit(connection: &Connection, keeper: Option<&Keeper>) -> Result<(), StoreError> {
    keeper.inspect(|keeper| keeper.release());
    let outcome = try_commit(connection);
    keeper.inspect(|keeper| keeper.hold());
    outcome
}

fn try_commit(connection: &Connection) -> Result<(), StoreError> {
    for _ in 1..COMMIT_ATTEMPTS {
        match control(connection, "COMMIT") {
            Err(StoreError::Unavailable(Outage::Busy)) if !connection.is_autocommit() => {}
            outcome => return outcome,
        }
    }
    control(connection, "COMMIT")
}

/// Runs a statement of transaction control without parsing it anew.
fn control(connection: &Connection, text: &'static str) -> Result<(), StoreError> {
    let run = || connection.prepare_cached(text)?.raw_execute();
    run().map(drop).map_err(|error| failure(&error, text))
}

fn fail(jobs: Vec<Box<dyn Job>>, error: &StoreError) {
    let outage = match error {
        StoreError::Unavailable(outage) => outage.clone(),
        other => Outage::Storage(other.to_string()),
    };
    for job in jobs {
        job.finish(Err(StoreError::outage(outage.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    fn insert(connection: &Connection, number: i64) -> Result<(), StoreError> {
        connection.execute("INSERT INTO numbers VALUES ($1)", [number]).map(drop).map_err(|error| failure(&error, "test"))
    }

    async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
    }

    /// A full disk makes SQLite roll back the whole transaction; a job that does so itself stands in for it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_group_that_is_lost_runs_again_without_the_job_that_lost_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE numbers (number BIGINT PRIMARY KEY)").unwrap();
        let writer = Writer::start(Arc::new(Mutex::new(connection)), None).unwrap();
        // Holds the writer until the others wait, so that they form one group. Ends at once when it runs again.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let mut holder = Box::pin(writer.run(move |_| Ok(held.recv().is_ok())));
        assert!(is_pending(&mut holder).await);
        let mut jobs: Vec<_> = (0..30_i64)
            .map(|number| {
                Box::pin(writer.run(move |connection| {
                    insert(connection, number)?;
                    if number == 20 {
                        connection.execute_batch("ROLLBACK").map_err(|error| failure(&error, "test"))?;
                        return Err(StoreError::outage(Outage::Storage("full".into())));
                    }
                    Ok(number)
                }))
            })
            .collect();
        // The first poll of each puts it into the queue.
        for job in &mut jobs {
            assert!(is_pending(job).await);
        }
        drop(release);
        holder.await.unwrap();
        for (number, job) in jobs.into_iter().enumerate() {
            match job.await {
                Ok(done) => assert_eq!(usize::try_from(done), Ok(number)),
                Err(StoreError::Unavailable(Outage::Storage(_))) => assert_eq!(number, 20),
                Err(other) => panic!("{number}: {other}"),
            }
        }
        let count = writer.run(|connection| {
            connection
                .query_row("SELECT COUNT(*) FROM numbers WHERE number <> 20", [], |row| row.get::<_, i64>(0))
                .map_err(|error| failure(&error, "test"))
        });
        assert_eq!(count.await.unwrap(), 29);
    }
}
