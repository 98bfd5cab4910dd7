//! The pool: worker processes that wait for jobs, never more than so many, each thrown away as soon as anything about it is
//! doubtful.
//! The server holds one [`Jsonnet`] for its whole life; nothing is started before the first job.
//! Knows how long and how large, not what is evaluated.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::frame::{LONGEST_JOB, Verdict, frame, length};
use crate::{Job, JsonnetError};

/// The longest that an evaluation may take.
pub const LONGEST_EVALUATION: Duration = Duration::from_secs(1);

/// The most bytes of JSON that a value may have.
pub const LONGEST_OUTPUT: usize = 256 * 1_024;

/// How long a job waits for a worker.
const LONGEST_QUEUE: Duration = Duration::from_secs(2);

/// How long a process may take to start on a busy machine.
const LONGEST_START: Duration = Duration::from_secs(10);

/// JSON inside of JSON: every byte may need six.
const LONGEST_VERDICT: usize = LONGEST_OUTPUT * 6 + 64;

/// Tells the allocator of the program to take memory when it is needed. It would take a gigabyte at once, before any limit holds.
const LAZY: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// The sub-command under which a program calls [`crate::work`].
const SUB_COMMAND: &str = "jsonnet";

/// Evaluates snippets, each in a process that does nothing else at that time.
pub struct Jsonnet {
    program: PathBuf,
    free: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Jsonnet {
    /// Workers are this very program, started with the hidden sub-command `jsonnet`.
    pub fn of_this_program(workers: NonZeroUsize) -> Self {
        // Leads to the running file even when an upgrade has put another one in its place.
        let link = Path::new("/proc/self/exe");
        let program = if link.exists() { link.to_owned() } else { std::env::current_exe().unwrap_or_default() };
        Self::of_program(program, workers)
    }

    /// Workers are another program that knows the sub-command `jsonnet`.
    pub fn of_program(program: impl Into<PathBuf>, workers: NonZeroUsize) -> Self {
        Self { program: program.into(), free: Semaphore::new(workers.get()), idle: Mutex::default() }
    }

    /// The value of a snippet, as JSON. When the caller goes away, the worker goes as well.
    ///
    /// # Errors
    /// See [`JsonnetError`].
    pub async fn evaluate(&self, job: &Job) -> Result<String, JsonnetError> {
        let bytes = frame(job).map_err(|error| JsonnetError::Invalid(error.to_string()))?;
        if bytes.len() > LONGEST_JOB {
            return Err(JsonnetError::Invalid("snippet and variables are longer than 4 MiB".to_owned()));
        }
        // Nobody closes the semaphore.
        let Ok(Ok(_turn)) = timeout(LONGEST_QUEUE, self.free.acquire()).await else { return Err(JsonnetError::Busy) };
        let mut worker = match self.waiting() {
            Some(worker) => worker,
            None => Worker::start(&self.program).await.map_err(JsonnetError::NoWorker)?,
        };
        match timeout(LONGEST_EVALUATION, worker.ask(&bytes)).await {
            Ok(Ok(verdict)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                judge(verdict)
            }
            Ok(Err(_)) => Err(JsonnetError::Ended),
            Err(_) => Err(JsonnetError::TooSlow),
        }
    }

    /// A worker that waits and still lives.
    fn waiting(&self) -> Option<Worker> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut worker) = idle.pop() {
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Some(worker);
            }
        }
        None
    }
}

impl std::fmt::Debug for Jsonnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jsonnet").finish_non_exhaustive()
    }
}

fn judge(verdict: Verdict) -> Result<String, JsonnetError> {
    match verdict {
        Verdict::Value(json) => Ok(json),
        Verdict::Raised(message) => Err(JsonnetError::Raised(message)),
        Verdict::Invalid(message) => Err(JsonnetError::Invalid(message)),
        Verdict::TooLong => Err(JsonnetError::TooLong),
    }
}

/// One process. Dropping it kills it.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Worker {
    async fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg(SUB_COMMAND)
            .env_clear()
            .env(LAZY.0, LAZY.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal of the terminal is for the server, which finishes what it began.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut worker = Self { child, input, output };
        let up: io::Result<()> = timeout(LONGEST_START, worker.read()).await.map_err(|_| io::ErrorKind::TimedOut)?;
        up.map(|()| worker)
    }

    async fn ask(&mut self, bytes: &[u8]) -> io::Result<Verdict> {
        self.input.write_all(bytes).await?;
        self.input.flush().await?;
        self.read().await
    }

    async fn read<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut head = [0; 4];
        self.output.read_exact(&mut head).await?;
        let mut bytes = vec![0; length(head, LONGEST_VERDICT)?];
        self.output.read_exact(&mut bytes).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }
}
