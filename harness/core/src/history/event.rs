//! The records of a history.
//!
//! One record is one JSON object with one key, its kind: `{"attempt":{...}}`. Times are nanoseconds since
//! the start of the run on one monotonic clock; money is in the currency's smallest unit (cents).

use super::reading::{InvoiceRow, LedgerRow, Leftover, LogLines, QuotaRow, QuotaSeen, SourceRead};
use crate::fault::Phase;
use crate::ids::{BuyerId, NodeName, OpId, RunId, StepId, TierName};
use crate::load::Load;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant of the run: nanoseconds since its start, on the harness's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// The instant `ms` milliseconds after the start of the run.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Milliseconds since the start of the run.
    pub fn as_ms(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Seconds since the start of the run.
    pub fn as_s(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Milliseconds from `earlier` to this instant; 0 where `earlier` is later.
    pub fn ms_since(self, earlier: At) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// This instant moved forwards by `ms` milliseconds.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.as_s())
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// First record: what this history is of.
    Run(RunHeader),
    /// One HTTP exchange of a buyer.
    Attempt(Attempt),
    /// An arrival that the load generator could not serve.
    Refused(Refusal),
    /// A fault entered a phase of its life cycle.
    Fault(FaultEvent),
    /// A node's role or view changed.
    Observed(Observation),
    /// Resources that a node used.
    Usage(Usage),
    /// The run entered a stage (steady, whole again, draining ...).
    Stage(StageEvent),
    /// Final read: one order as one database has it.
    Ledger(LedgerRow),
    /// A quota as one database counts it.
    Quota(QuotaRow),
    /// Final read: a database was read, completely or not.
    Source(SourceRead),
    /// What the shop itself says is left of a quota.
    Seen(QuotaSeen),
    /// An invoice as one database has it.
    Invoice(InvoiceRow),
    /// Final read: work that was begun and not ended, of one kind.
    Leftover(Leftover),
    /// Lines of a node's log that are alike and speak of trouble.
    Log(LogLines),
    /// Last record: the run came to its planned end.
    End(RunTrailer),
}

/// First record of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// [`super::HISTORY_VERSION`] of the writer.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// Wall clock at instant 0, RFC 3339 in UTC, for people only: nothing is computed from it.
    pub started: String,
    /// Seed of everything random in this run.
    pub seed: u64,
    /// Name of the topology.
    pub topology: String,
    /// Name of the drill or profile.
    pub drill: String,
    /// Planned arrivals per second, which the checkers compare with what arrived.
    pub rate_per_s: f64,
    /// The whole load, where it is more than a constant rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Box<Load>>,
    /// What the run undertook to look at besides orders, quotas and roles: what is missing of it then is unknown,
    /// not fine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observes: Vec<Subject>,
}

/// What a run may look at besides orders, quotas and roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What the tables around every order say of it ([`LedgerRow::books`]).
    Books,
    /// Who was admitted with which ticket ([`super::LedgerPosition::entries`]).
    Entries,
    /// Invoices, while the load runs and at the end ([`InvoiceRow`]).
    Invoices,
    /// Work that nobody ended ([`Leftover`]).
    Leftovers,
    /// Trouble in the nodes' logs ([`LogLines`]).
    Logs,
    /// What the shop says is left of its quotas ([`QuotaSeen`]).
    QuotasSeen,
}

impl RunHeader {
    /// Whether anybody was to buy.
    pub fn has_load(&self) -> bool {
        self.load.as_ref().map_or(self.rate_per_s > 0.0, |load| load.is_any())
    }
}

/// Last record of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunTrailer {
    /// When.
    pub at: At,
    /// How many records were handed to the writer before this one; a reader that finds fewer knows that
    /// some are missing.
    pub records: u64,
    /// Observations made per node, so that "nothing changed" can be told from "nobody looked".
    pub samples: Vec<(NodeName, u64)>,
}

/// What an attempt asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// The order was posted.
    Purchase,
    /// What became of the purchase was asked for: by its code or e-mail address after an attempt in doubt,
    /// or as a page does while the shop works in the background.
    Lookup,
    /// A step on the way to a purchase: a page, an asset, the cart, a form. Nothing is sold by it.
    Prepare,
    /// A page or an asset was read by somebody who buys nothing.
    Visit,
    /// A ticket was shown at the door.
    Redeem,
    /// The buyer gave his confirmed order back: what it held may be sold again.
    Cancel,
}

/// Why a purchase was refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// "There is not enough quota available": sold out.
    SoldOut,
    /// The order code exists already: an earlier attempt of the same operation was applied.
    DuplicateCode,
    /// The token was refused.
    Unauthorized,
    /// A lookup found no such order.
    NotFound,
    /// At the door: this ticket has been used before.
    AlreadyRedeemed,
    /// What there is only one of (a seat, a voucher) is somebody else's.
    Taken,
    /// Anything else that the shop says is wrong with the order.
    Invalid,
}

impl RejectReason {
    /// Whether a buyer who hears this was served: there is nothing left of what he wanted.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::SoldOut | Self::Taken)
    }
}

/// What one attempt is known to have done (Jepsen's ok / fail / info, split where the split matters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The shop confirmed the order: from here on it must never be lost.
    Acknowledged,
    /// The shop answered as it should, and nothing was sold by it: a page, a form on the way, an admission.
    Passed,
    /// The shop took the purchase and works on it: what became of it has to be asked for.
    Pending,
    /// The shop refused, and nothing was written.
    Rejected(RejectReason),
    /// The shop answered "too busy": nothing was written, the same order may be sent again.
    NotApplied,
    /// A time-out, a reset, a 5xx, a concurrent request: it may or may not have been applied. Stays open
    /// until the final read; reading it as a failure is the classic false alarm.
    InDoubt,
    /// Not one byte left the buyer: certainly not applied.
    NotSent,
}

/// One exchange of a buyer with an entry point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The purchase that this attempt belongs to.
    pub op: OpId,
    /// Who.
    pub buyer: BuyerId,
    /// 1 for the first attempt of the operation.
    pub number: u32,
    /// What was asked.
    pub kind: AttemptKind,
    /// The entry point that was used.
    pub entry: NodeName,
    /// When the operation was due. Latency is measured from here (no coordinated omission).
    pub intended: At,
    /// When this attempt was begun.
    pub started: At,
    /// When its outcome was known.
    pub ended: At,
    /// HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What is known.
    pub outcome: Outcome,
    /// Name of its figures: the step of the journey that it belongs to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Client-chosen order code: the token of the operation. Empty where the shop chooses the code; then the
    /// e-mail address is the token.
    pub code: String,
    /// The e-mail address that was sent, which is unique per operation.
    pub email: String,
    /// What the shop confirmed; present exactly for acknowledged attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderAck>,
    /// Secret of the ticket that was shown at the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What there is only one of, and is asked for or given back: a seat, a voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// Error or answer in short, where the attempt was not acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Attempt {
    /// Milliseconds from the intended time of the operation to the end of this attempt.
    pub fn latency_ms(&self) -> f64 {
        self.ended.ms_since(self.intended)
    }

    /// Milliseconds that this exchange alone took.
    pub fn service_ms(&self) -> f64 {
        self.ended.ms_since(self.started)
    }
}

/// An order as the shop confirmed it to the buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderAck {
    /// Order code.
    pub code: String,
    /// Order secret, part of the buyer's link.
    pub secret: String,
    /// Status letter: `n` pending, `p` paid.
    pub status: String,
    /// Total in cents.
    pub total_cents: i64,
    /// E-mail address.
    pub email: String,
    /// The tickets.
    pub positions: Vec<PositionAck>,
}

/// One ticket as the shop confirmed it. The page of an order shows less than the API does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionAck {
    /// Primary key in the shop's database, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Item (product) that was sold.
    pub item: u64,
    /// Price in cents.
    pub price_cents: i64,
    /// Ticket secret, where it was told: what is scanned at the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// An arrival of the open model that found no free buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The operation that never was.
    pub op: OpId,
    /// When it was due.
    pub intended: At,
}

/// A fault entered a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// The step of the schedule.
    pub step: StepId,
    /// When the phase was entered.
    pub at: At,
    /// The phase.
    pub phase: Phase,
    /// Name of the fault, for example `kill`.
    pub fault: String,
    /// Its parameters, as in a drill file; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// The target as the drill has it, for example `primary(postgres)`.
    pub target: String,
    /// The tier that the target belongs to.
    pub tier: TierName,
    /// The nodes that it was resolved to, at the moment of injection.
    pub nodes: Vec<NodeName>,
    /// What was seen: the proof of effect, the reason of a void, what was undone.
    pub detail: String,
}

/// A stage of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The load began.
    LoadStarted,
    /// The stack was whole and sales went well: a step may begin.
    Steady,
    /// What a step waited for did not happen: its fault was never injected.
    Untriggered,
    /// Buyers could buy again (sales went well for a while) while the fault was still in force.
    ServiceRestored,
    /// Redundancy was whole again after the fault was undone.
    Whole,
    /// Redundancy did not become whole again before its deadline.
    NotWhole,
    /// The load generator did not do what was planned, and ended early: what it measured is itself.
    LoadVoid,
    /// The load was stopped; operations under way may end.
    LoadStopped,
    /// The last operation ended.
    Drained,
    /// The run was interrupted by the operator.
    Interrupted,
}

/// The run entered a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEvent {
    /// When.
    pub at: At,
    /// Which.
    pub stage: Stage,
    /// The step that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// What was seen.
    pub detail: String,
}

/// What a node says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes: a PostgreSQL node that is not in recovery, a Redis master.
    Primary,
    /// Follows a primary.
    Standby,
    /// Serves, and its kind has no roles.
    Serving,
    /// Answers, but does not serve (no backend, error page).
    NotServing,
    /// Does not answer before the probe's deadline.
    Unreachable,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Primary => "primary",
            Role::Standby => "standby",
            Role::Serving => "serving",
            Role::NotServing => "not serving",
            Role::Unreachable => "unreachable",
        })
    }
}

/// A container's state as the engine reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its process runs.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Exited,
    /// There is no such container.
    Gone,
}

/// What a node answered, written down when it differs from what it answered before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// When the answer came.
    pub at: At,
    /// Who.
    pub node: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// What it says it is.
    pub role: Role,
    /// Timeline (PostgreSQL), configuration epoch (Sentinel): rises with every promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Its view of others in short: a Pgpool's pool nodes, an HAProxy's servers, a Sentinel's master, a
    /// primary's streaming standbys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub view: String,
}

/// Resources that a node used, read from the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// When.
    pub at: At,
    /// Who.
    pub node: NodeName,
    /// Container state.
    pub state: NodeState,
    /// CPU use since the sample before, in percent of one core.
    pub cpu_percent: f64,
    /// Memory in bytes, without page cache.
    pub memory_bytes: u64,
}
