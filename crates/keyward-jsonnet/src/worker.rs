//! The worker: a process that evaluates one job after the other until its input ends.
//! The program calls [`work`] for its hidden sub-command, the pool starts it.
//! Bounds its own memory and ends itself when a job takes far too long, so that none outlives a server that was killed.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rlimit::Resource;

use crate::Job;
use crate::evaluate::evaluate;
use crate::frame::{LONGEST_JOB, frame, length};

/// Address space of a worker, in bytes.
const ADDRESSES: u64 = 2 << 30;
/// Memory that a worker may write to, in bytes.
const MEMORY: u64 = 256 << 20;
/// The pool gives up earlier; this is for workers whose server is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Evaluates jobs from standard input to standard output until the input ends.
///
/// # Errors
/// When the limits of the process cannot be set, or the other side breaks off in the middle of a message.
pub fn work() -> io::Result<()> {
    confine()?;
    let (announce, jobs) = channel();
    std::thread::Builder::new().spawn(move || watch(&jobs))?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    // Tells the pool that the process is up: time counts from here.
    output.write_all(&frame(&())?)?;
    output.flush()?;
    while let Some(job) = read(&mut input)? {
        // The watch ends only with the process.
        let _ = announce.send(true);
        let verdict = evaluate(&job);
        let _ = announce.send(false);
        output.write_all(&frame(&verdict)?)?;
        output.flush()?;
    }
    Ok(())
}

/// Less than the operator allows stays as it is: a limit can only be lowered.
fn confine() -> io::Result<()> {
    for (resource, most) in [(Resource::AS, ADDRESSES), (Resource::DATA, MEMORY), (Resource::CORE, 0)] {
        if resource.is_supported() {
            let (soft, hard) = resource.get()?;
            resource.set(soft.min(most), hard.min(most))?;
        }
    }
    Ok(())
}

/// Ends the process when a job began and did not end.
fn watch(jobs: &Receiver<bool>) {
    while let Ok(begun) = jobs.recv() {
        if begun && jobs.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            std::process::exit(1);
        }
    }
}

fn read(input: &mut impl Read) -> io::Result<Option<Job>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = vec![0; length(head, LONGEST_JOB)?];
    input.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}
