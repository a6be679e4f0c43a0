use super::story::{row, sold, Story, DATABASES};
use firedrill_core::checker::{Evidence, REGISTRY};
use std::time::Instant;
#[test]
fn perf() {
    let mut story = Story::good();
    story.attempts.clear();
    story.rows.clear();
    for op in 0..1_000_000u64 {
        let due = op * 60_000 / 1_000_000;
        let a = sold(op, due, due, due + 40, 1);
        story.rows.push(row(DATABASES[1], &a));
        story.attempts.push(a);
    }
    story.read_quota(2_000_000, 1_000_000);
    let history = story.history();
    let t = Instant::now();
    let evidence = Evidence::of(&history, &story.sla);
    println!("evidence {:?}", t.elapsed());
    for (name, check) in REGISTRY {
        let t = Instant::now();
        let r = check(&evidence);
        println!("{name} {:?} {}", t.elapsed(), r.reason);
    }
    let t = Instant::now();
    let _ = firedrill_core::checker::step::judge(&evidence);
    println!("steps {:?}", t.elapsed());
    let t = Instant::now();
    let v = firedrill_core::checker::judge(&history, &story.sla);
    println!("all {:?} {:?}", t.elapsed(), v.conclusion);
}
