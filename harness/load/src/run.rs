//! Start and end of a load.

use crate::buyer::{Buyer, Shared};
use crate::clock::RunClock;
use crate::crew::Crew;
use crate::journey::{Arrival, Journey};
use crate::model::closed::User;
use crate::model::open::Pacer;
use crate::model::schedule::Schedule;
use crate::model::stop::Stop;
use crate::model::watch::{Plan, Watch};
use crate::settings::{Settings, SettingsError};
use crate::stats::{Breakdown, Snapshot, Stats};
use crate::target::{Target, TargetError};
use firedrill_core::history::Event;
use firedrill_core::ids::BuyerId;
use firedrill_core::load::{Curve, Gaps, Model, Users};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How long buyers have, after they were told to hang up, to hand over their last record.
const HANG_UP_GRACE: Duration = Duration::from_secs(5);

/// How often it is looked whether the load does what was planned.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

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
    /// Where an open model hands its arrivals to.
    crew: Option<Arc<Crew>>,
    stop: Arc<Stop>,
    hang_up: watch::Sender<bool>,
    paced: Option<oneshot::Receiver<()>>,
    buyers: JoinSet<()>,
}

/// Reads the figures of a load; may be cloned and kept, also beyond the load's end: it does not hold the channel of
/// the records open, for whose end their reader waits.
#[derive(Clone)]
pub struct LoadView {
    stats: Arc<Stats>,
    clock: RunClock,
}

impl LoadView {
    /// The figures now. Costs some tens of microseconds: meant for a few times a second.
    pub fn snapshot(&self) -> Snapshot {
        self.stats.snapshot(self.clock.now())
    }

    /// How long everything took, by operation and group. Meant for once a second at most.
    pub fn breakdown(&self) -> Breakdown {
        self.stats.breakdown(self.clock.now())
    }

    /// Why the load is void: it did not do what was planned, and has ended early. None while all is well.
    pub fn void(&self) -> Option<String> {
        self.stats.void().map(str::to_owned)
    }
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Drained {
    /// The figures at the end.
    pub snapshot: Snapshot,
    /// How long everything took.
    pub breakdown: Breakdown,
    /// Why the load proves nothing about the shop: the load generator itself did not reach its rate, or
    /// was late ([`crate::model::watch`] has the bounds). None for a load that did what was planned.
    pub void: Option<String>,
    /// Operations that were cut off at the deadline. Their last exchange is recorded as in doubt.
    pub abandoned: u64,
    /// Buyers that ended by a panic: a defect of firedrill, and the history may lack records.
    pub lost_buyers: u64,
}

/// Starts a load.
///
/// Records go to `records`: one per exchange and one per refused arrival. The pacing never waits for it. A
/// buyer does, so its reader should be quick; records that cannot be handed over are counted in
/// [`Snapshot::records_lost`].
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
    let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let stats = Arc::new(Stats::new(clock.now()));
    let view = LoadView { stats: Arc::clone(&stats), clock };
    let shared = Arc::new(Shared { target, settings: settings.clone(), clock, stats, records });
    let (hang_up, hung_up) = watch::channel(false);
    let stop = Arc::new(Stop::new());
    let launch = Launch { shared: Arc::clone(&shared), stop: Arc::clone(&stop), hung_up, runtime: runtime.clone() };
    let mut handle = LoadHandle { view, crew: None, stop, hang_up, paced: None, buyers: JoinSet::new() };
    match &settings.model {
        Model::Open { curve, gaps } => launch.open(&mut handle, curve.clone(), *gaps, journey)?,
        Model::Closed(users) => launch.closed(&mut handle, *users, journey),
    }
    // Not one of the buyers: it ends with the word that the load is over, and nobody waits for it.
    runtime.spawn(watch_over(shared, Arc::clone(&handle.stop)));
    Ok(handle)
}

/// What it takes to start the tasks of a load.
struct Launch {
    shared: Arc<Shared>,
    stop: Arc<Stop>,
    hung_up: watch::Receiver<bool>,
    runtime: Handle,
}

impl Launch {
    fn buyer(&self, id: u32) -> Buyer {
        Buyer::new(BuyerId(id), Arc::clone(&self.shared), self.hung_up.clone())
    }

    /// Buyers who wait for arrivals, and the thread that paces them.
    fn open(&self, handle: &mut LoadHandle, curve: Curve, gaps: Gaps, journey: impl Journey) -> Result<(), StartError> {
        let settings = &self.shared.settings;
        let (crew, desks) = Crew::new(settings.buyers, self.shared.target.entries().len());
        let crew = Arc::new(crew);
        let journey = Arc::new(journey);
        handle.crew = Some(Arc::clone(&crew));
        for (id, desk) in (0..).zip(desks) {
            let work =
                serve(self.buyer(id), id, desk, Arc::clone(&journey), Arc::clone(&self.shared), Arc::clone(&crew));
            handle.buyers.spawn_on(work, &self.runtime);
        }
        let shared = Arc::clone(&self.shared);
        let start = shared.stats.started();
        let schedule = Schedule::new(curve, gaps, settings.seed);
        let pacer = Pacer { shared: Arc::clone(&shared), crew, stop: Arc::clone(&self.stop), start };
        let (paced_tx, paced) = oneshot::channel();
        handle.paced = Some(paced);
        std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
            pacer.run(schedule);
            shared.stats.over();
            // Nobody listens any more if the handle was dropped.
            let _ = paced_tx.send(());
        })?;
        Ok(())
    }

    /// Users who begin by themselves.
    fn closed(&self, handle: &mut LoadHandle, users: Users, journey: impl Journey) {
        let journey = Arc::new(journey);
        let last = Arc::new(LastOut(Arc::clone(&self.shared)));
        for number in 0..users.count {
            let user = User {
                number,
                users,
                shared: Arc::clone(&self.shared),
                journey: Arc::clone(&journey),
                stop: Arc::clone(&self.stop),
                start: self.shared.stats.started(),
            };
            let (life, last) = (user.live(self.buyer(number)), Arc::clone(&last));
            let life = async move {
                life.await;
                drop(last);
            };
            handle.buyers.spawn_on(life, &self.runtime);
        }
    }
}

/// The last user of a closed model who goes says that the load is over.
struct LastOut(Arc<Shared>);

impl Drop for LastOut {
    fn drop(&mut self) {
        self.0.stats.over();
    }
}

/// Looks once a second whether the load does what was planned; ends it where it does not.
async fn watch_over(shared: Arc<Shared>, stop: Arc<Stop>) {
    let mut plan = Plan::of(&shared.settings);
    let is_closed = matches!(shared.settings.model, Model::Closed(_));
    let mut watch = Watch::default();
    let mut looks = tokio::time::interval(WATCH_PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.said() => return,
            _ = looks.tick() => {}
        }
        let now = shared.clock.now();
        let planned = plan.until(now.0.saturating_sub(shared.stats.started().0));
        if let Some(why) = watch.look(now, shared.stats.progress(planned, is_closed)) {
            shared.stats.voided(why);
            return stop.say();
        }
    }
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
        let at_work = shared.stats.user_at_work();
        let ended = journey.serve(&mut buyer, arrival).await;
        drop(at_work);
        shared.stats.ended(shared.clock.now(), ended);
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
        self.stop.say();
        self.view.stats.over();
    }

    /// No new arrivals; waits for the operations under way, for at most `deadline`; then cuts them off,
    /// each with a record. When this returns, all records have been handed over.
    pub async fn stop(mut self, deadline: Duration) -> Drained {
        self.stop_arrivals();
        let mut lost_buyers = 0;
        let in_time = tokio::time::timeout(deadline, self.drain(&mut lost_buyers)).await.is_ok();
        let mut abandoned = 0;
        if !in_time {
            abandoned = self.view.stats.in_flight();
            self.dismiss();
            self.hang_up.send_replace(true);
            let hung_up = tokio::time::timeout(HANG_UP_GRACE, self.drain(&mut lost_buyers)).await;
            if hung_up.is_err() {
                // The records' reader is stuck: whoever still waits for it cannot hand his record over.
                for _ in 0..self.buyers.len() {
                    self.view.stats.record_lost();
                }
            }
        }
        let (breakdown, void) = (self.view.breakdown(), self.view.void());
        Drained { snapshot: self.snapshot(), breakdown, void, abandoned, lost_buyers }
    }

    /// No more arrivals are handed out.
    fn dismiss(&self) {
        if let Some(crew) = &self.crew {
            crew.close();
        }
    }

    /// Waits for the pacing thread and for all buyers.
    async fn drain(&mut self, lost_buyers: &mut u64) {
        if let Some(paced) = &mut self.paced {
            // An error means that the thread ended without a word, by a panic: it paces no more either way.
            let _ = paced.await;
            self.paced = None;
        }
        self.dismiss();
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
        self.dismiss();
        self.hang_up.send_replace(true);
        self.buyers.detach_all();
    }
}
