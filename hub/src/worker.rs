//! A thread of its own for long work that comes again and again, one job at a time.
//!
//! The runtime's threads for blocking work would do it too, each time another one: then the memory that a round of planning
//! takes for a moment stays behind in each of them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread ends when this is dropped.
pub(crate) struct Worker(mpsc::Sender<Job>);

/// The job panicked, or its thread could not be had.
#[derive(Debug, thiserror::Error)]
#[error("it ended unexpectedly")]
pub(crate) struct Ended;

impl Worker {
    /// Jobs may use the runtime in which this is called.
    pub(crate) fn start(name: &str) -> std::io::Result<Self> {
        let (jobs, given) = mpsc::channel::<Job>();
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let _entered = runtime.enter();
            given.into_iter().for_each(|job| job());
        };
        thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self(jobs))
    }

    /// Does `job` and gives its result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (done, result) = oneshot::channel();
        let job = move || {
            // What a job that panics was given goes with it.
            if let Ok(it) = catch_unwind(AssertUnwindSafe(job)) {
                // Nobody waits any more where the hub stops.
                let _ = done.send(it);
            }
        };
        self.0.send(Box::new(job)).map_err(|_| Ended)?;
        result.await.map_err(|_| Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_does_not_end_the_thread() {
        let worker = Worker::start("test").unwrap();
        let name = || thread::current().name().map(ToOwned::to_owned);
        assert_eq!(worker.run(name).await.unwrap(), Some("test".to_owned()));
        assert!(worker.run(|| panic!("a defect")).await.is_err());
        assert_eq!(worker.run(|| 7).await.unwrap(), 7);
    }
}
