//! Attempts folded into operations: what a purchase is known to have done.

use firedrill_core::history::{
    At, Attempt, AttemptKind, Event, History, OperationOutcome, Operations, OrderAck, Outcome, RejectReason,
};
use firedrill_core::ids::{BuyerId, OpId};

fn attempt(number: u32, kind: AttemptKind, outcome: Outcome) -> Attempt {
    let order = OrderAck {
        code: "A".to_owned(),
        secret: String::new(),
        status: "n".to_owned(),
        total_cents: 1,
        email: String::new(),
        positions: Vec::new(),
    };
    let start_ms = u64::from(number) * 100;
    Attempt {
        op: OpId(1),
        buyer: BuyerId(1),
        number,
        kind,
        entry: "nginx-1".into(),
        intended: At::from_ms(50),
        started: At::from_ms(start_ms),
        ended: At::from_ms(start_ms + 10),
        status: None,
        outcome,
        group: String::new(),
        code: "A".to_owned(),
        email: String::new(),
        order: (outcome == Outcome::Acknowledged).then_some(order),
        ticket: None,
        claim: None,
        error: None,
    }
}

/// After a `P` the answer of a step on the way, after a `V` that of a page which is only looked at. `.` passed,
/// `w` the shop works on it, `+` confirmed, `o` sold out, `d` code in use, `b` too busy, `?` in doubt, `x` not sent, and the same
/// after an `L` as the answer of a lookup (where `o` is "not found").
fn outcome(story: &str) -> String {
    let mut kind = AttemptKind::Purchase;
    let mut events = Vec::new();
    for letter in story.chars() {
        match letter {
            'L' => kind = AttemptKind::Lookup,
            'P' => kind = AttemptKind::Prepare,
            'V' => kind = AttemptKind::Visit,
            'R' => kind = AttemptKind::Redeem,
            _ => {}
        }
        if letter.is_uppercase() {
            continue;
        }
        let outcome = match letter {
            '+' => Outcome::Acknowledged,
            '.' => Outcome::Passed,
            'w' => Outcome::Pending,
            'o' if kind == AttemptKind::Lookup => Outcome::Rejected(RejectReason::NotFound),
            'o' => Outcome::Rejected(RejectReason::SoldOut),
            'd' => Outcome::Rejected(RejectReason::DuplicateCode),
            'b' => Outcome::NotApplied,
            '?' => Outcome::InDoubt,
            _ => Outcome::NotSent,
        };
        events.push(Event::Attempt(attempt(events.len() as u32 + 1, kind, outcome)));
        kind = AttemptKind::Purchase;
    }
    let operations = Operations::of(&History::from_events(events));
    match &operations.get(OpId(1)).unwrap().outcome {
        OperationOutcome::Acknowledged { at, .. } => format!("confirmed at {} ms", at.as_ms()),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_strongest_statement_counts() {
    let cases = [
        ("+", "confirmed at 110 ms"),
        ("o", "Rejected(SoldOut)"),
        ("b", "NotApplied"),
        ("x", "NotApplied"),
        ("?", "InDoubt"),
        ("xb+", "confirmed at 310 ms"),
        ("?+", "confirmed at 210 ms"),
        ("?o", "InDoubt"),
        ("?Lo", "InDoubt"),
        ("?L+", "confirmed at 210 ms"),
        ("bo", "Rejected(SoldOut)"),
        ("ob", "Rejected(SoldOut)"),
        ("d", "InDoubt"),
        ("?d", "InDoubt"),
        ("dL+", "confirmed at 210 ms"),
        ("xL?", "NotApplied"),
        ("xLo", "NotApplied"),
        ("+?", "confirmed at 110 ms"),
        ("+o", "confirmed at 110 ms"),
        // In the browser: pages and the cart, the purchase in the background, the page of the order.
        ("P.P.wLwL+", "confirmed at 510 ms"),
        ("P.P?", "NotApplied"),
        ("P.Po", "Rejected(SoldOut)"),
        ("P.w", "InDoubt"),
        ("P.wLwL?", "InDoubt"),
        ("P.wLb", "NotApplied"),
        ("P.wLbw", "InDoubt"),
        ("P.wLbwL+", "confirmed at 510 ms"),
        ("P.w?Lb", "InDoubt"),
        ("P.?Lb", "InDoubt"),
        ("P.wLo", "InDoubt"),
        ("P.wL?Lb", "NotApplied"),
        ("P.wL?wLb", "InDoubt"),
        ("P.wL?wL+", "confirmed at 510 ms"),
        // Who buys nothing.
        ("V.", "Visited"),
        ("V.V.", "Visited"),
        ("V.V?", "NotApplied"),
        ("V?V.", "Visited"),
        // At the door with an order of one's own.
        ("+R.", "confirmed at 110 ms"),
        ("+R?", "confirmed at 110 ms"),
    ];
    for (story, expected) in cases {
        assert_eq!(outcome(story), expected, "{story}");
    }
}

#[test]
fn an_operation_lasts_from_its_first_attempt_to_its_last() {
    let attempts = [(2, Outcome::InDoubt), (1, Outcome::NotSent), (3, Outcome::Acknowledged)];
    let events = attempts.map(|(n, outcome)| Event::Attempt(attempt(n, AttemptKind::Purchase, outcome)));
    let operations = Operations::of(&History::from_events(events.to_vec()));
    let op = operations.get(OpId(1)).unwrap();
    assert_eq!((op.invoked, op.completed), (At::from_ms(100), At::from_ms(310)));
    assert_eq!((op.attempts, op.errors, op.latency_ms()), (3, 2, 260.0));
    assert_eq!(operations.len(), 1);
}

#[test]
fn the_time_for_which_a_buyer_waits_is_not_the_shops() {
    let mut attempts = vec![
        attempt(1, AttemptKind::Prepare, Outcome::Passed),
        attempt(2, AttemptKind::Purchase, Outcome::Acknowledged),
        attempt(3, AttemptKind::Redeem, Outcome::Passed),
    ];
    for (attempt, waited_ms) in attempts.iter_mut().zip([0, 70, 150]) {
        attempt.intended = At::from_ms(50 + waited_ms);
        attempt.code.clear();
    }
    let operations = Operations::of(&History::from_events(attempts.into_iter().map(Event::Attempt).collect()));
    let op = operations.get(OpId(1)).unwrap();
    assert_eq!((op.intended, op.due, op.latency_ms()), (At::from_ms(50), At::from_ms(120), 90.0));
    assert_eq!((op.code.as_str(), op.has_own_code()), ("A", false));
}
