//! A bounded queue with threads of its own: two lanes, and a limit on the memory in use.
//! The hasher pushes its work here.
//! Does not know what the work is.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{HashCapacity, HashLoad};

/// Which line a password waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Anyone: sign-in, registration, recovery.
    Public,
    /// People with a session, who still get through while the public is queueing.
    SignedIn,
}

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Why work was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Stopped,
}

/// The running threads; dropping it discards what waits and ends them after their present work.
pub(super) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    limits: [usize; 2],
    memory_kib: u32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: [VecDeque<(u32, Job)>; 2],
    /// The lane that has its turn when both wait.
    turn: usize,
    memory_in_use: u32,
    /// Jobs that threads are working on.
    busy: usize,
    stopped: bool,
}

impl Queue {
    pub(super) fn start(capacity: &HashCapacity) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            limits: [capacity.queue, capacity.reserved],
            memory_kib: capacity.memory_kib,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        // Made first, so that threads already running end when a later one cannot be started.
        let queue = Self { shared };
        for number in 0..capacity.threads.get() {
            let shared = Arc::clone(&queue.shared);
            std::thread::Builder::new().name(format!("hash-{number}")).spawn(move || shared.work())?;
        }
        Ok(queue)
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.shared.memory_kib
    }

    pub(super) fn load(&self) -> HashLoad {
        let state = self.shared.lock();
        let [public, signed_in] = &state.lanes;
        HashLoad { waiting_public: public.len(), waiting_signed_in: signed_in.len(), busy: state.busy }
    }

    /// Takes the work unless the lane is full. `memory_kib` must not exceed the limit of the queue.
    pub(super) fn push(&self, lane: Lane, memory_kib: u32, job: Job) -> Result<(), Refused> {
        let mut state = self.shared.lock();
        if state.stopped {
            return Err(Refused::Stopped);
        }
        let lane = lane as usize;
        if state.lanes[lane].len() >= self.shared.limits[lane] {
            return Err(Refused::Full);
        }
        state.lanes[lane].push_back((memory_kib.min(self.shared.memory_kib), job));
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        let waiting = std::mem::take(&mut state.lanes);
        drop(state);
        self.shared.changed.notify_all();
        // Outside the lock: dropping a job wakes the task that waits for its answer.
        drop(waiting);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so the state is whole even if a job panicked elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        while !state.stopped {
            let Some((memory, job)) = state.next(self.memory_kib) else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            // A panic in a computation must cost one answer, not the thread.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                tracing::error!("a password computation failed unexpectedly");
            }
            state = self.lock();
            state.memory_in_use -= memory;
            state.busy -= 1;
            // The memory given back may suffice for more than one.
            self.changed.notify_all();
        }
    }
}

impl State {
    /// The next job if its memory is free. A large job at the head is waited for rather than overtaken for ever.
    fn next(&mut self, memory_kib: u32) -> Option<(u32, Job)> {
        let lane = if self.lanes[self.turn].is_empty() { 1 - self.turn } else { self.turn };
        let needed = self.lanes[lane].front()?.0;
        if needed > memory_kib - self.memory_in_use {
            return None;
        }
        let (memory, job) = self.lanes[lane].pop_front()?;
        self.memory_in_use += memory;
        self.busy += 1;
        self.turn = 1 - lane;
        Some((memory, job))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use super::*;

    fn queue(threads: usize, queue: usize, reserved: usize, memory_kib: u32) -> Queue {
        let threads = NonZeroUsize::new(threads).expect("at least one");
        Queue::start(&HashCapacity { threads, queue, reserved, memory_kib }).expect("threads")
    }

    /// Work that says when it starts and goes on until the returned end is dropped.
    fn gate(
        queue: &Queue,
        lane: Lane,
        memory_kib: u32,
        started: &mpsc::Sender<&'static str>,
        name: &'static str,
    ) -> mpsc::Sender<()> {
        let (open, closed) = mpsc::channel::<()>();
        let started = started.clone();
        let job = move || {
            started.send(name).expect("the test listens");
            let _ = closed.recv();
        };
        assert_eq!(queue.push(lane, memory_kib, Box::new(job)), Ok(()));
        open
    }

    #[test]
    fn lanes_are_bounded_apart_and_served_in_turn() {
        let queue = queue(1, 3, 2, 100);
        let (started, order) = mpsc::channel();
        let gate_open = gate(&queue, Lane::Public, 1, &started, "gate");
        assert_eq!(order.recv(), Ok("gate"));

        let push = |lane, name: &'static str| {
            let started = started.clone();
            queue.push(lane, 1, Box::new(move || started.send(name).expect("the test listens")))
        };
        for name in ["public 1", "public 2", "public 3"] {
            assert_eq!(push(Lane::Public, name), Ok(()));
        }
        assert_eq!(push(Lane::Public, "public 4"), Err(Refused::Full));
        assert_eq!(push(Lane::SignedIn, "signed in 1"), Ok(()));
        assert_eq!(push(Lane::SignedIn, "signed in 2"), Ok(()));
        assert_eq!(push(Lane::SignedIn, "signed in 3"), Err(Refused::Full));

        drop(gate_open);
        let served: Vec<_> = order.iter().take(5).collect();
        assert_eq!(served, ["signed in 1", "public 1", "signed in 2", "public 2", "public 3"]);
        assert_eq!(push(Lane::Public, "afterwards"), Ok(()));
        assert_eq!(order.recv(), Ok("afterwards"));
    }

    #[test]
    fn memory_is_never_overdrawn() {
        let queue = queue(2, 9, 9, 100);
        let (started, order) = mpsc::channel();
        let first = gate(&queue, Lane::Public, 60, &started, "first");
        assert_eq!(order.recv(), Ok("first"));
        let second = gate(&queue, Lane::Public, 41, &started, "second");
        // The other thread is idle, yet the second does not fit beside the first.
        assert!(queue.shared.lock().next(100).is_none());
        assert!(order.try_recv().is_err());
        drop(first);
        assert_eq!(order.recv(), Ok("second"));
        let third = gate(&queue, Lane::Public, 59, &started, "third");
        assert_eq!(order.recv(), Ok("third"));
        assert_eq!(queue.shared.lock().memory_in_use, 100);
        drop((second, third));
    }

    #[test]
    fn a_panic_costs_one_job_and_gives_its_memory_back() {
        let queue = queue(1, 9, 0, 10);
        assert_eq!(queue.push(Lane::Public, 10, Box::new(|| std::panic::resume_unwind(Box::new(())))), Ok(()));
        let (started, order) = mpsc::channel();
        let open = gate(&queue, Lane::Public, 10, &started, "next");
        assert_eq!(order.recv(), Ok("next"));
        drop(open);
        assert_eq!(queue.push(Lane::SignedIn, 1, Box::new(|| {})), Err(Refused::Full));
    }

    #[test]
    fn dropping_the_queue_discards_what_waits() {
        let queue = queue(1, 9, 9, 10);
        let (started, order) = mpsc::channel();
        let open = gate(&queue, Lane::Public, 1, &started, "running");
        assert_eq!(order.recv(), Ok("running"));
        let waiting = gate(&queue, Lane::Public, 1, &started, "waiting");
        drop((queue, open, started));
        // Every sender is gone once the thread has ended, and only the running job ever spoke.
        assert!(order.recv().is_err());
        assert!(waiting.send(()).is_err());
    }
}
