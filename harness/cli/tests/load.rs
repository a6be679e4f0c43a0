//! `firedrill load` alone, against a shop that is none of ours: what it says, keeps and ends with. No engine is
//! needed: the shop is a thread of this test that speaks as much of the order API as a buyer hears.

mod support {
    pub(crate) mod shop;
}

use firedrill_core::history::codec;
use rstest::rstest;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use support::shop::{Mood, Shop};

/// What a command may take, in seconds: an entry point is tried for 10 s at most, the loads are shorter. Beyond it
/// the program is ended, and its exit code is 124.
const BOUND_S: &str = "30";

/// The program with the load's arguments, its runs in a folder of the test.
fn load(runs: &Path, url: &str, more: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args([BOUND_S, env!("CARGO_BIN_EXE_firedrill"), "load", url]).args([
        "--organizer",
        "org",
        "--event",
        "fair",
        "--item",
        "5",
    ]);
    command.args(["--token", "secret", "--seed", "1", "--duration-s", "2"]).args(more);
    command.env("FIREDRILL_HOME", env!("CARGO_MANIFEST_DIR")).env("FIREDRILL_RUNS", runs);
    command
}

/// Runs it: it must end with this code and say all of these words.
fn check(mut command: Command, code: i32, words: &[&str]) -> Output {
    let output = command.output().expect("the program starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
    output
}

/// The summary, and how many orders the history has as confirmed.
fn summary(output: &Output) -> (serde_json::Value, u64) {
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("nothing but JSON");
    let path = json["history"].as_str().expect("a path");
    let history = codec::read(std::fs::File::open(path).expect("a history")).expect("a history");
    assert_eq!(history.damage, Vec::<String>::new());
    let confirmed = history.attempts().filter(|attempt| attempt.order.is_some()).count();
    (json, confirmed as u64)
}

#[test]
fn what_is_sold_is_what_the_shop_sold() {
    let (shop, runs) = (Shop::open(Mood::Sells), tempfile::tempdir().expect("a folder"));
    let output = check(load(runs.path(), &shop.url(), &["--rate", "20", "--json"]), 0, &[]);
    let (json, confirmed) = summary(&output);
    assert_eq!(json["sold"], shop.sold(), "{json}");
    assert_eq!(confirmed, shop.sold());
    assert!((35..=41).contains(&shop.sold()), "20 a second for 2 s: {json}");
    assert_eq!(
        (&json["void"], json["timing"]["whole operations"]["latency"]["count"].as_u64()),
        (&serde_json::Value::Null, Some(confirmed))
    );
    let output = check(load(runs.path(), &shop.url(), &["--rate", "20"]), 0, &["sold, 0 sold out", "errors: none"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("users"), "live figures go to the other stream");
}

/// Each model in one run, with how many orders it has to come to.
#[rstest]
#[case::users(&["--users", "3", "--hatch", "100", "--rounds", "4"], 12..=12)]
#[case::ramp(&["--rate", "40", "--ramp-s", "2"], 36..=42)]
#[case::independent_buyers(&["--rate", "40", "--poisson"], 50..=115)]
#[case::a_profile(&["--rate", "100", "--profile", "on-sale"], 18..=22)]
fn models(#[case] more: &[&str], #[case] sold: std::ops::RangeInclusive<u64>) {
    let (shop, runs) = (Shop::open(Mood::Sells), tempfile::tempdir().expect("a folder"));
    check(load(runs.path(), &shop.url(), more), 0, &["errors: none"]);
    assert!(sold.contains(&shop.sold()), "{} orders", shop.sold());
}

#[rstest]
#[case::the_token_is_refused(Mood::Refuses(401), 3, &["refused", "token"])]
#[case::there_is_no_such_event(Mood::Refuses(403), 3, &["no such event", "fair"])]
#[case::there_is_no_such_item(Mood::Refuses(404), 3, &["no item 5", "fair"])]
#[case::the_shop_is_broken(Mood::Refuses(502), 3, &["502", "database"])]
#[case::sold_out_is_an_answer(Mood::SoldOut, 0, &["due, 0 sold, ", " sold out, 0 rejected, 0 gave up"])]
fn trouble(#[case] mood: Mood, #[case] code: i32, #[case] words: &[&str]) {
    let (shop, runs) = (Shop::open(mood), tempfile::tempdir().expect("a folder"));
    check(load(runs.path(), &shop.url(), &[]), code, words);
}

#[rstest]
#[case::nobody_listens("http://127.0.0.1:1", &[], 3, &["127.0.0.1:1", "refused"])]
#[case::no_such_host("http://shop.invalid", &[], 64, &["shop.invalid", "cannot be resolved"])]
#[case::no_scheme("127.0.0.1:80", &[], 64, &["http:// or https://"])]
#[case::no_such_journey("http://127.0.0.1:1", &["--journey", "steal"], 64, &["steal", "order-api"])]
#[case::no_such_profile("http://127.0.0.1:1", &["--profile", "rush-hour"], 64, &["rush-hour.yaml"])]
#[case::users_and_a_rate("http://127.0.0.1:1", &["--users", "3", "--rate", "3"], 64, &["not both"])]
#[case::no_file_of_authorities("https://127.0.0.1:1", &["--ca", "none.pem"], 3, &["none.pem"])]
fn what_cannot_be_loaded(#[case] url: &str, #[case] more: &[&str], #[case] code: i32, #[case] words: &[&str]) {
    let runs = tempfile::tempdir().expect("a folder");
    check(load(runs.path(), url, more), code, words);
}

#[test]
fn a_shop_that_does_not_speak_tls_is_said_to_be() {
    let (shop, runs) = (Shop::open(Mood::Sells), tempfile::tempdir().expect("a folder"));
    let url = shop.url().replace("http://", "https://");
    check(load(runs.path(), &url, &[]), 3, &["TLS"]);
    assert_eq!(shop.sold(), 0);
}

#[test]
fn a_shop_that_goes_for_ever_leaves_what_it_sold() {
    let (shop, runs) = (Shop::open(Mood::GoneAfter(10)), tempfile::tempdir().expect("a folder"));
    let more = ["--rate", "20", "--patience-s", "3", "--timeout-s", "1", "--json"];
    let output = check(load(runs.path(), &shop.url(), &more), 1, &[]);
    let (json, confirmed) = summary(&output);
    assert_eq!((confirmed, json["sold"].as_u64()), (10, Some(10)), "{json}");
    assert!(json["gave_up"].as_u64() > Some(20), "{json}");
    assert!(json["broken"][0].as_str().is_some_and(|text| text.contains("% of")), "{json}");
}

#[test]
fn a_slow_shop_breaks_the_agreement() {
    let (shop, runs) = (Shop::open(Mood::Slow(Duration::from_millis(2_500))), tempfile::tempdir().expect("a folder"));
    let words = ["broken: the 99th percentile is 25", "promised 2000 ms"];
    check(load(runs.path(), &shop.url(), &["--rate", "4", "--sla", "strict"]), 1, &words);
    check(load(runs.path(), &shop.url(), &["--rate", "4"]), 0, &["p99"]);
}
