//! Start and end of a load.

use crate::buyer::{Buyer, Shared};
use crate::clock::RunClock;
use crate::crew::Crew;
use crate::journey::{Arrival, Journey, OrderApi};
use crate::model::open::{Constant, Pacer};
use crate::settings::{Settings, SettingsError};
use crate::stats::{Snapshot, Stats};
use crate::target::{Target, TargetError};
use firedrill_core::history::Event;
use firedrill_core::ids::BuyerId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How long buyers have, after they were told to hang up, to hand over their last record.
const HANG_UP_GRACE: Duration = Duration::from_secs(5);

/// A load that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The target cannot be bought from.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The settings cannot be meant.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no tokio runtime here.
    #[error("the load was started outside a tokio runtime")]
    NoRuntime,
    /// The operating system gave no thread.
    #[error("no thread for the pacing of the load: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running load. Dropping it ends the load at once, like [`LoadHandle::stop`] with no time left.
pub struct LoadHandle {
    view: LoadView,
    crew: Arc<Crew>,
    stop: Arc<AtomicBool>,
    hang_up: watch::Sender<bool>,
    paced: Option<oneshot::Receiver<()>>,
    buyers: JoinSet<()>,
}

/// Reads the figures of a load; may be cloned and kept.
#[derive(Clone)]
pub struct LoadView {
    shared: Arc<Shared>,
}

impl LoadView {
    /// The figures now. Costs some tens of microseconds: meant for a few times a second.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.stats.snapshot(self.shared.clock.now())
    }
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Drained {
    /// The figures at the end.
    pub snapshot: Snapshot,
    /// Operations that were cut off at the deadline. Their last exchange is recorded as in doubt.
    pub abandoned: u64,
    /// Buyers that ended by a panic: a defect of firedrill, and the history may lack records.
    pub lost_buyers: u64,
}

/// Starts the open-model load with the journey `order-api`.
///
/// Records go to `records`: one per exchange and one per refused arrival. The pacing never waits for it. A
/// buyer does, so its reader should be quick; records that cannot be handed over are counted in
/// [`Snapshot::records_lost`].
///
/// # Errors
/// A [`StartError`] if target or settings cannot be used.
pub fn start(
    target: &Target,
    settings: &Settings,
    clock: RunClock,
    records: mpsc::Sender<Event>,
) -> Result<LoadHandle, StartError> {
    start_journey(target, settings, OrderApi::new(settings), clock, records)
}

/// Starts the open-model load with any journey; see [`start`].
///
/// # Errors
/// A [`StartError`] if target or settings cannot be used.
pub fn start_journey(
    target: &Target,
    settings: &Settings,
    journey: impl Journey,
    clock: RunClock,
    records: mpsc::Sender<Event>,
) -> Result<LoadHandle, StartError> {
    settings.check()?;
    let target = target.prepare()?;
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let start = clock.now();
    let shared = Arc::new(Shared { target, settings: settings.clone(), clock, stats: Stats::new(start), records });
    let (crew, desks) = Crew::new(settings.buyers);
    let crew = Arc::new(crew);
    let journey = Arc::new(journey);
    let (hang_up, hung_up) = watch::channel(false);
    let mut buyers = JoinSet::new();
    for (id, desk) in (0..).zip(desks) {
        let buyer = Buyer::new(BuyerId(id), Arc::clone(&shared), hung_up.clone());
        let work = serve(buyer, id, desk, Arc::clone(&journey), Arc::clone(&shared), Arc::clone(&crew));
        buyers.spawn_on(work, &runtime);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let pacer = Pacer { shared: Arc::clone(&shared), crew: Arc::clone(&crew), stop: Arc::clone(&stop), start };
    let schedule = Constant { rate_per_s: settings.rate_per_s };
    let (paced_tx, paced) = oneshot::channel();
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        pacer.run(schedule);
        // Nobody listens any more if the handle was dropped.
        let _ = paced_tx.send(());
    })?;
    Ok(LoadHandle { view: LoadView { shared }, crew, stop, hang_up, paced: Some(paced), buyers })
}

/// A buyer's life: free, an arrival, a journey, free again.
async fn serve(
    mut buyer: Buyer,
    id: u32,
    mut desk: mpsc::Receiver<Arrival>,
    journey: Arc<impl Journey>,
    shared: Arc<Shared>,
    crew: Arc<Crew>,
) {
    loop {
        let arrival = tokio::select! {
            biased;
            arrival = desk.recv() => arrival,
            () = buyer.idle() => continue,
        };
        let Some(arrival) = arrival else { return };
        shared.stats.began(arrival.intended, shared.clock.now());
        let ending = journey.serve(&mut buyer, arrival).await;
        shared.stats.ended(arrival.intended, shared.clock.now(), ending);
        crew.free(id);
    }
}

impl LoadHandle {
    /// The figures now.
    pub fn snapshot(&self) -> Snapshot {
        self.view.snapshot()
    }

    /// A reader of the figures for others, such as a progress display.
    pub fn view(&self) -> LoadView {
        self.view.clone()
    }

    /// No new arrivals from now on (noticed within 20 ms); operations under way go on.
    pub fn stop_arrivals(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// No new arrivals; waits for the operations under way, for at most `deadline`; then cuts them off,
    /// each with a record. When this returns, all records have been handed over.
    pub async fn stop(mut self, deadline: Duration) -> Drained {
        self.stop_arrivals();
        let mut lost_buyers = 0;
        let in_time = tokio::time::timeout(deadline, self.drain(&mut lost_buyers)).await.is_ok();
        let mut abandoned = 0;
        if !in_time {
            abandoned = self.view.shared.stats.in_flight();
            self.crew.close();
            self.hang_up.send_replace(true);
            let hung_up = tokio::time::timeout(HANG_UP_GRACE, self.drain(&mut lost_buyers)).await;
            if hung_up.is_err() {
                // The records' reader is stuck: whoever still waits for it cannot hand his record over.
                for _ in 0..self.buyers.len() {
                    self.view.shared.stats.record_lost();
                }
            }
        }
        Drained { snapshot: self.snapshot(), abandoned, lost_buyers }
    }

    /// Waits for the pacing thread and for all buyers.
    async fn drain(&mut self, lost_buyers: &mut u64) {
        if let Some(paced) = &mut self.paced {
            // An error means that the thread ended without a word, by a panic: it paces no more either way.
            let _ = paced.await;
            self.paced = None;
        }
        self.crew.close();
        while let Some(ended) = self.buyers.join_next().await {
            if ended.is_err() {
                *lost_buyers += 1;
            }
        }
    }
}

impl Drop for LoadHandle {
    fn drop(&mut self) {
        self.stop_arrivals();
        self.crew.close();
        self.hang_up.send_replace(true);
        self.buyers.detach_all();
    }
}
