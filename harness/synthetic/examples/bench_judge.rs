//! Measures how fast histories are read and judged.
//!
//! ```text
//! bench_judge generate OPERATIONS FILE [SOLD_PERCENT [DATABASES [ANOMALY NTH]]]   writes a history of a ticket rush
//! bench_judge judge FILE                                     judges it, and prints a row of a table
//! ```
//!
//! An anomaly (`Altered`, `TwoCodes`: [`Anomaly::ALL`]) is planted with every NTH purchase that comes in time.
//!
//! Processor time and memory are those of this process, from `/proc` (Linux). `judge` goes through the file once
//! without looking at the records (reading), and then judges it (folding into the digest, and all checkers).

use firedrill_core::checker::{Evidence, verdict};
use firedrill_core::digest::{Digest, Recorded, Stored};
use firedrill_core::history::codec::Writer;
use firedrill_synthetic::{Anomaly, Plan, sla};
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;

type Failed = Box<dyn Error>;

const USAGE: &str = "bench_judge generate OPERATIONS FILE [SOLD_PERCENT [DATABASES [ANOMALY NTH]]] | judge FILE";

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["generate", operations, path, ref more @ ..] => generate(operations.parse()?, path, more),
        ["judge", path] => judge(path),
        _ => Err(USAGE.into()),
    }
}

fn generate(operations: u64, path: &str, more: &[&str]) -> Result<(), Failed> {
    let sold_percent = more.first().map_or(Ok(50), |text| text.parse())?;
    let databases = more.get(1).map_or(Ok(2), |text| text.parse())?;
    let databases = (1..=databases).map(|number: u32| format!("pg{number}")).collect();
    let every = match more.get(2..) {
        Some([name, nth]) => Some((anomaly(name)?, nth.parse()?)),
        _ => None,
    };
    let plan = Plan { operations, sold_percent, databases, faults: 20, every, ..Plan::default() };
    let mut writer = Writer::new(BufWriter::new(File::create(path)?))?;
    plan.records(|event| writer.write(&event))?;
    writer.finish()?;
    Ok(())
}

fn anomaly(name: &str) -> Result<Anomaly, Failed> {
    let named = Anomaly::ALL.into_iter().find(|anomaly| format!("{anomaly:?}") == name);
    named.ok_or_else(|| format!("no anomaly {name}: {:?}", Anomaly::ALL).into())
}

fn judge(path: &str) -> Result<(), Failed> {
    let mut history = Stored::new(File::open(path)?);
    let mut records = 0u64;
    let begin = cpu_s()?;
    history.scan(&mut |_, _| records += 1)?;
    let read = cpu_s()?;
    let digest = Digest::of(&mut history)?;
    let folded = cpu_s()?;
    let sla = sla();
    let evidence = Evidence::weigh(&mut history, digest, &sla)?;
    let verdict = verdict(&evidence);
    let judged = cpu_s()?;
    let (read_s, folded_s, checked_s) = (read - begin, folded - read, judged - folded);
    let (judge_s, all_s) = (folded_s - read_s + checked_s, folded_s + checked_s);
    let operations = verdict.totals.operations;
    let millions = operations as f64 / 1e6;
    let file_mb = fs::metadata(path)?.len() as f64 / 1e6;
    println!(
        "| {millions:.0} | {:.1} | {file_mb:.0} | {read_s:.2} | {judge_s:.2} | {all_s:.2} | {:.2} | {:.0} | {} |",
        records as f64 / 1e6,
        all_s / millions,
        peak_mb()?,
        verdict.conclusion
    );
    if verdict.reasons.iter().any(|reason| reason.contains("damaged")) {
        return Err(format!("{:?}", verdict.reasons).into());
    }
    Ok(())
}

/// Processor time of this thread, which is the only one, in seconds.
fn cpu_s() -> Result<f64, Failed> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns: f64 = text.split(' ').next().ok_or("no time in schedstat")?.parse()?;
    Ok(ns / 1e9)
}

/// The most memory that this process has had, in MB.
fn peak_mb() -> Result<f64, Failed> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in status")?;
    let kb: f64 = line.split_whitespace().nth(1).ok_or("no number in VmHWM")?.parse()?;
    Ok(kb * 1.024 / 1e3)
}
