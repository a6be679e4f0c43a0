//! One file a group of commands.

mod capacity;
mod certify;
mod check;
mod doctor;
mod drill;
mod faults;
mod load;
mod manual;
mod stacks;
mod trend;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Runs the command that was asked for.
pub(crate) async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Doctor => doctor::doctor().await,
        Command::Plan(args) => certify::plan(&args),
        Command::Up(args) => stacks::up(&args).await,
        Command::Down(args) => stacks::down(&args).await,
        Command::Run(args) => drill::run(&args).await,
        Command::Certify(args) => certify::certify(&args).await,
        Command::Verify(args) => certify::verify(&args).await,
        Command::Check(args) => check::check(&args),
        Command::Report(args) => check::report(&args),
        Command::Export(args) => check::export(&args),
        Command::Load(args) => load::load(&args).await,
        Command::Capacity(args) => capacity::capacity(&args).await,
        Command::Reap => stacks::reap().await,
        Command::Faults { name } => faults::faults(name.as_deref()),
        Command::Schema { of } => faults::schema(of),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man => manual::man(),
        Command::Guard { run, stacks, keep } => stacks::watch(&run, stacks, keep).await,
        Command::Compare(args) => trend::compare(&args),
        Command::History(args) => trend::history(&args),
    }
}

/// The wall clock, to the second.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
