//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use firedrill_core::drill::matrix::Profile;
use std::path::PathBuf;

/// Chaos and failover verification for redundant ticket shops: boots the real stack, sells tickets, breaks
/// it, and says with proof whether a ticket was lost, doubled or oversold.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 certified, 1 violated, 2 inconclusive, 3 could not run, 4 residue left, 64 usage";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check whether this machine can run drills, and say what is missing.
    Doctor,
    /// Show what a certification would do, without doing anything.
    Plan(CertifyArgs),
    /// Boot a topology and leave it running.
    Up(UpArgs),
    /// Remove stacks that `up` left running.
    Down(DownArgs),
    /// Run one drill from a file.
    Run(RunArgs),
    /// Derive drills from a topology, run them, and certify it or refuse to.
    Certify(CertifyArgs),
    /// Say whether a certificate still applies to a topology.
    Verify(VerifyArgs),
    /// Judge a stored run or certification again, without Docker.
    Check(CheckArgs),
    /// Render the reports of a stored run or certification again.
    Report(ReportArgs),
    /// Write the history of a stored run in a form that other tools read.
    Export(ExportArgs),
    /// Buy tickets from any Pretix at a given rate.
    Load(LoadArgs),
    /// Find the highest rate of purchases that a topology sustains within its agreement.
    Capacity(CapacityArgs),
    /// Undo faults that dead runs left in force, and remove what they left behind.
    Reap,
    /// Show the catalogue of faults: what each does, needs, and is proven by.
    Faults {
        /// Only this one.
        name: Option<String>,
    },
    /// Print a JSON Schema: of drill files, of a run's verdict.json, or of a certification's certificate.json.
    Schema {
        /// Of what.
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Print the completions of a shell: `firedrill completions bash > /etc/bash_completion.d/firedrill`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `firedrill man | man -l -`.
    Man,
    /// Clean up when standard input ends (started by firedrill itself).
    #[command(hide = true)]
    Guard {
        /// The run.
        run: String,
        /// Folder of the records of standing stacks.
        #[arg(long)]
        stacks: PathBuf,
        /// Undo faults, and leave the stack.
        #[arg(long)]
        keep: bool,
    },
    /// Say whether runs became worse than the ones before them, with all repeats of both sides.
    Compare(CompareArgs),
    /// Write one page about many runs: every drill and cell over time.
    History(HistoryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Topology: a folder below `topologies/`, or a path.
    #[arg(long, default_value = "pretix-ha")]
    pub(crate) topology: String,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// The run to remove; all that `up` started without it.
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Drill: a file below `fixtures/drills/` without its ending, or a path.
    pub(crate) drill: String,
    /// Topology instead of the drill's.
    #[arg(long)]
    pub(crate) topology: Option<String>,
    /// Agreement instead of the drill's: a name below `fixtures/sla/`, or a path.
    #[arg(long)]
    pub(crate) sla: Option<String>,
    /// Seed of everything random, to repeat a schedule.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Drill a stack that stands (`firedrill up`), and leave it standing.
    #[arg(long, value_name = "RUN")]
    pub(crate) on: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct CertifyArgs {
    /// Topology: a folder below `topologies/`, or a path.
    #[arg(long, default_value = "pretix-ha")]
    pub(crate) topology: String,
    /// How much is drilled: `smoke` (masters and one node of every tier, killed), `nightly` (every tier killed, frozen,
    /// cut off, restarted, slowed down) or `event` (everything that redundancy can answer).
    #[arg(long, default_value = "smoke", value_parser = profile)]
    pub(crate) profile: Profile,
    /// How sure an `event` has to be: after as many failovers of the database as it takes to say that fewer than this
    /// share of them, in percent, lose an order.
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT", value_parser = percent)]
    pub(crate) bound: f64,
    /// Agreement: a name below `fixtures/sla/`, or a path.
    #[arg(long, default_value = "gic-2020")]
    pub(crate) sla: String,
    /// Seed of everything random, to repeat a schedule.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Purchases that begin per second, instead of a share of the capacity (`nightly` 30 %, `event` 80 %, measured first)
    /// or of the usual 3 (`smoke`).
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// What the stack sustains, instead of measuring it first: `capacity.json` of `firedrill capacity`, or its run's folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) capacity: Option<PathBuf>,
    /// The peak that is expected, in purchases a minute: an `event` drills it, and one that the stack cannot sustain is
    /// refused.
    #[arg(long, value_name = "PER_MINUTE", value_parser = above_zero)]
    pub(crate) forecast: Option<f64>,
    /// For how many days the certificate is good.
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub(crate) valid_days: u32,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("give a number above 0".to_owned()) }
}

fn profile(text: &str) -> Result<Profile, String> {
    text.parse().map_err(|_| format!("there are {}", Profile::names().join(", ")))
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if number > 0.0 && number <= 100.0 { Ok(number) } else { Err("give a percentage above 0, at most 100".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// `certificate.json`, the folder of the certification, or its id.
    pub(crate) certificate: PathBuf,
    /// Topology as it is now: a folder below `topologies/`, or a path [default: the certificate's].
    #[arg(long)]
    pub(crate) topology: Option<String>,
    /// Agreement as it is now: a name below `fixtures/sla/`, or a path [default: the certificate's].
    #[arg(long)]
    pub(crate) sla: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    /// Topology: a folder below `topologies/`, or a path.
    #[arg(long, default_value = "pretix-ha")]
    pub(crate) topology: String,
    /// A stack that stands (`firedrill up`) instead of one that is booted for it.
    #[arg(long, value_name = "RUN")]
    pub(crate) on: Option<String>,
    /// Agreement: a name below `fixtures/sla/`, or a path.
    #[arg(long, default_value = "gic-2020")]
    pub(crate) sla: String,
    /// What buyers do: a file below `fixtures/journeys/` without its ending; several by weight:
    /// `order-api=3,check-in=1`.
    #[arg(long, default_value = "order-api")]
    pub(crate) journey: String,
    /// Event of the seed file; `open` has no limit, so that no lock of a quota is taken.
    #[arg(long, default_value = "fair")]
    pub(crate) event: String,
    /// Item of that event; several by weight: `Paid=3,Free=1`.
    #[arg(long, default_value = "Paid")]
    pub(crate) item: String,
    /// Rate of the first trial, in purchases per second.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) first: f64,
    /// No rate above this is tried.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) highest: f64,
    /// Virtual buyers.
    #[arg(long, default_value_t = 400)]
    pub(crate) buyers: u32,
    /// Length of a trial in seconds.
    #[arg(long, default_value_t = 30)]
    pub(crate) trial_s: u64,
    /// Length of the trial that confirms, in seconds.
    #[arg(long, default_value_t = 90)]
    pub(crate) confirm_s: u64,
    /// Seed of everything random.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder of the run.
    pub(crate) run_dir: PathBuf,
    /// Judge against another agreement.
    #[arg(long)]
    pub(crate) against: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder of the run.
    pub(crate) run_dir: PathBuf,
    /// Print what failed as annotations of a build server, and write nothing.
    #[arg(long, value_enum, value_name = "SERVER")]
    pub(crate) annotations: Option<Annotations>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Folder of the run.
    pub(crate) run_dir: PathBuf,
    /// The form.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ExportFormat,
    /// Write to this file instead of standard output.
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}

/// What there is a JSON Schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Drill files.
    #[default]
    Drill,
    /// `verdict.json`.
    Verdict,
    /// `certificate.json`.
    Certificate,
    /// `firedrill compare --format json`.
    Comparison,
    /// `firedrill history --format json`.
    History,
}

/// A form that other tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ExportFormat {
    /// JSON lines: one record a line.
    #[default]
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Base URL of the shop, for example `https://tickets.example.org`; several may be given, buyers fail
    /// over between them.
    #[arg(required = true)]
    pub(crate) urls: Vec<String>,
    /// Short name of the organizer.
    #[arg(long)]
    pub(crate) organizer: String,
    /// Short name of the event.
    #[arg(long)]
    pub(crate) event: String,
    /// Number of the item to buy; several by weight: `5=3,6=1`.
    #[arg(long)]
    pub(crate) item: String,
    /// Price that is sent for an order by the API.
    #[arg(long, default_value = "23.00")]
    pub(crate) price: String,
    /// API token with the right to write orders. Journeys in the browser do without, but then nobody can find
    /// out what became of a purchase in doubt.
    #[arg(long, env = "FIREDRILL_API_TOKEN", hide_env_values = true, default_value = "")]
    pub(crate) token: String,
    /// `Host` header instead of the one in the first URL.
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// What buyers do: files below `fixtures/journeys/` without their ending, or paths; several by weight:
    /// `order-api=3,check-in=1`.
    #[arg(long, default_value = "order-api")]
    pub(crate) journey: String,
    /// Purchases that begin per second, whatever becomes of the ones before [default: 1, where there are no
    /// users].
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seconds in which the rate rises from 0.
    #[arg(long)]
    pub(crate) ramp_s: Option<f64>,
    /// How the rate changes with time: a name below `fixtures/profiles/`, or a path to a list of `at_s` and
    /// `share` of the rate.
    #[arg(long, conflicts_with = "ramp_s")]
    pub(crate) profile: Option<String>,
    /// Exponential gaps between purchases (Poisson) instead of even ones.
    #[arg(long)]
    pub(crate) poisson: bool,
    /// So many users instead of a rate, who begin again when they are done.
    #[arg(long)]
    pub(crate) users: Option<u32>,
    /// Users that begin per second [default: the journey's, or 10].
    #[arg(long)]
    pub(crate) hatch: Option<f64>,
    /// How often each user walks the journey; 0 is until the end.
    #[arg(long, default_value_t = 0)]
    pub(crate) rounds: u32,
    /// How long a user waits between two rounds, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) think_ms: u64,
    /// Multiple of the journey's own users.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) peak: f64,
    /// Virtual buyers of a rate: an arrival that finds none free is refused and counted.
    #[arg(long, default_value_t = 100)]
    pub(crate) buyers: u32,
    /// Seconds.
    #[arg(long, default_value_t = 30)]
    pub(crate) duration_s: u64,
    /// How long a buyer tries, in seconds.
    #[arg(long, default_value_t = 45)]
    pub(crate) patience_s: u64,
    /// How long one exchange may take, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(crate) timeout_s: u64,
    /// Agreement that gives the thresholds: a name below `fixtures/sla/`, or a path.
    #[arg(long, default_value = "gic-2020")]
    pub(crate) sla: String,
    /// Seed of everything random.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A PEM file of further authorities to trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Do not check certificates: for test set-ups only.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A build server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Annotations {
    /// Workflow commands of GitHub Actions.
    Github,
    /// A Code Quality report of GitLab.
    Gitlab,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CompareFormat {
    /// For a terminal.
    #[default]
    Text,
    /// For a pull request or the summary of a job.
    Markdown,
    /// For programs, with every number.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no regression, 1 regression, 2 nothing could be told, 64 usage")]
pub(crate) struct CompareArgs {
    /// What is compared with: the folder of a run, a folder that has such folders, or several separated by commas.
    pub(crate) baseline: String,
    /// What is compared, as above. A run that is on both sides is taken out of the baseline, so that `runs runs/NEWEST`
    /// compares a run with all the others.
    pub(crate) candidate: String,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: CompareFormat,
}

/// What a history is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// One page.
    #[default]
    Html,
    /// The data of the page, and all older runs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Folder that has the folders of runs, or several separated by commas [default: `FIREDRILL_RUNS`, or `runs`].
    pub(crate) runs_dir: Option<String>,
    /// File to write [default: `history.html` or `history.json` in the first folder].
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: HistoryFormat,
    /// How many runs of each drill are the newest ones, which are compared with those before them [default: a third of
    /// them, at most 10].
    #[arg(long)]
    pub(crate) newest: Option<usize>,
}
