//! `firedrill`: the command line. Everything it does is in the libraries; here are words, exit codes and
//! what a person sees while it runs.

mod args;
mod commands;
mod exit;
mod home;
mod progress;

use clap::Parser;
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("FIREDRILL_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let arguments = match args::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; everything else is the caller's (EX_USAGE).
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Certified };
            let _ = error.print();
            return code.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("firedrill: no runtime: {error}");
            return Exit::CouldNotRun.into();
        }
    };
    let result = runtime.block_on(commands::dispatch(arguments));
    // Blocking reads of standard input (the guard) must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("firedrill: {}", exit::message(&failure.error));
            failure.exit.into()
        }
    }
}
