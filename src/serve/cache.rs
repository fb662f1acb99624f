//! One run at a time, and none while the last one is fresh.

use crate::judge::Diagnosis;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The last diagnosis, and how to make the next.
pub(super) struct Cache<L> {
    fresh: Duration,
    look: L,
    last: Mutex<Option<(Instant, Rc<Diagnosis>)>>,
}

impl<L, F> Cache<L>
where
    L: Fn() -> F,
    F: Future<Output = Result<Diagnosis, String>>,
{
    pub(super) fn new(fresh: Duration, look: L) -> Self {
        Self { fresh, look, last: Mutex::new(None) }
    }

    /// The diagnosis and its age. A request during a run waits for it.
    pub(super) async fn diagnosis(&self) -> Result<(Rc<Diagnosis>, Duration), String> {
        let mut last = self.last.lock().await;
        if let Some((made, diagnosis)) = last.as_ref()
            && made.elapsed() < self.fresh
        {
            return Ok((diagnosis.clone(), made.elapsed()));
        }
        let diagnosis = Rc::new((self.look)().await?);
        *last = Some((Instant::now(), diagnosis.clone()));
        Ok((diagnosis, Duration::ZERO))
    }
}
