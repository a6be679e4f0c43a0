//! Damaged histories: what is whole is read, what is missing is named by its record, and nothing panics.

use super::codec::{header, long, refused, trailer, write, write_v1};
use firedrill_core::checker::judge_stored;
use firedrill_core::digest::Stored;
use firedrill_core::history::codec::{FILE_VERSION, ReadError, Writer, read};
use firedrill_core::history::{Event, History};
use firedrill_core::verdict::Conclusion;
use proptest::prelude::*;
use std::io::Cursor;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the magic that every block begins with.
const MAGIC: &[u8] = b"\x89FDH2\r\n\x1a";

/// These records in blocks of a few, and where every block begins.
fn in_blocks(events: &[Event], of: usize) -> (Vec<u8>, Vec<usize>) {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for event in events.chunks(of) {
        event.iter().for_each(|event| writer.write(event).unwrap());
        writer.flush().unwrap();
    }
    let bytes = writer.finish().unwrap();
    let begins = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    (bytes.clone(), begins.map(|(at, _)| at).collect())
}

/// Reads bytes, judges them in both ways, and holds what must always hold.
fn check(bytes: &[u8]) -> Result<History, ReadError> {
    let history = read(bytes);
    let judged = judge_stored(&mut Stored::new(Cursor::new(bytes)), &firedrill_synthetic::sla());
    match (&history, &judged) {
        (Ok(history), Ok(verdict)) => {
            let again = firedrill_core::checker::judge(history, &firedrill_synthetic::sla());
            assert_eq!(*verdict, again);
            assert!(history.damage.is_empty() || verdict.conclusion != Conclusion::Certified, "{history:?}");
        }
        (Err(_), Err(_)) => {}
        other => panic!("read and judged differ: {other:?}"),
    }
    history
}

#[test]
fn a_lost_block_is_named_and_the_others_are_read() {
    let events = long();
    let (bytes, begins) = in_blocks(&events, 10);
    assert_eq!(begins.len(), 6);
    // One byte of every part of the second block: magic, number, lengths, checksums, payload.
    let cases = [
        (0, "records 11 to 20 are missing"),
        (9, "records 11 to 20 are missing"),
        (17, "records 11 to 20 are missing"),
        (22, "records 11 to 20 are missing"),
        (38, "records 11 to 20 are missing"),
        (45, "record 11: the block of records 11 to 20 is lost: its checksum does not match"),
    ];
    for (offset, expected) in cases {
        let mut bytes = bytes.clone();
        bytes[begins[1] + offset] ^= 0x10;
        let history = check(&bytes).unwrap();
        let whole: Vec<Event> = events.iter().take(10).chain(&events[20..]).cloned().collect();
        assert_eq!(history.events, whole, "byte {offset}");
        assert!(history.damage.iter().any(|text| text.contains(expected)), "byte {offset}: {:?}", history.damage);
    }
}

#[test]
fn what_is_put_together_wrongly_is_said() {
    let (events, other) = (long(), long());
    let (bytes, begins) = in_blocks(&events, 10);
    let cut = |from: usize, until: usize| bytes[from..until].to_vec();
    let swapped =
        [cut(0, begins[1]), cut(begins[2], begins[3]), cut(begins[1], begins[2]), cut(begins[3], bytes.len())];
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("two histories", [bytes.clone(), write(&other)].concat(), "the numbers begin again at 1"),
        ("one block twice", [cut(0, begins[2]), cut(begins[1], bytes.len())].concat(), "begin again at 11"),
        ("two blocks swapped", swapped.concat(), "records 11 to 20 are missing"),
        ("version 1 behind version 2", [bytes.clone(), write_v1(&other)].concat(), "are no block of the history"),
        ("version 2 behind version 1", [write_v1(&other), bytes.clone()].concat(), "the compressed stream ends here"),
        ("something before it", [b"some text ".to_vec(), bytes.clone()].concat(), "10 bytes from byte 0 on"),
        ("the begin of a file", bytes[..20].to_vec(), "record 1: 20 bytes from byte 0 on are no block"),
    ];
    for (name, bytes, expected) in cases {
        let history = check(&bytes).unwrap();
        assert!(history.damage.iter().any(|text| text.contains(expected)), "{name}: {:?}", history.damage);
    }
}

#[test]
fn a_file_of_another_version_is_refused() {
    let mut bytes = write(&long());
    bytes[4] = b'3';
    let error = check(&bytes).expect_err("version 3");
    assert!(matches!(error, ReadError::Version { found: 3, .. }) && FILE_VERSION == 2, "{error}");
}

#[test]
fn an_export_is_read_as_it_is() {
    let lines: Vec<u8> = zstd::decode_all(write_v1(&long()).as_slice()).unwrap();
    let history = check(&lines).unwrap();
    assert_eq!((history.events, history.damage), (long(), Vec::new()));
}

/// A file of one block with its unpacked records changed and everything else as it should be.
fn repacked(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut raw = zstd::decode_all(&bytes[40..]).unwrap();
    change(&mut raw);
    let packed = zstd::bulk::compress(&raw, 1).unwrap();
    let mut block = bytes[..40].to_vec();
    block[20..24].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    block[24..28].copy_from_slice(&(packed.len() as u32).to_le_bytes());
    block[28..36].copy_from_slice(&xxh3_64(&packed).to_le_bytes());
    let check = xxh3_64(&block[..36]) as u32;
    block[36..40].copy_from_slice(&check.to_le_bytes());
    [block, packed].concat()
}

/// A change to a file, drawn.
#[derive(Debug, Clone)]
enum Change {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Append(bool),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), 1..=255u8).prop_map(|(at, flip)| Change::Flip(at, flip)),
        place().prop_map(Change::Cut),
        (place(), 1..200usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (place(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        any::<bool>().prop_map(Change::Append),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len().max(1);
    match change {
        Change::Flip(at, flip) => bytes.iter_mut().skip(at.index(length)).take(1).for_each(|byte| *byte ^= flip),
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Remove(at, count) => {
            let from = at.index(length).min(bytes.len());
            bytes.drain(from..(from + count).min(bytes.len()));
        }
        Change::Insert(at, more) => {
            let at = at.index(length).min(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Append(first_version) => bytes.extend(another(*first_version)),
    }
}

/// A whole history of another run, which may be put behind what is there.
fn another(first_version: bool) -> Vec<u8> {
    let events = [header(), refused(7), trailer(2)];
    if first_version { write_v1(&events) } else { write(&events) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_damage_is_silent_and_nothing_is_invented(
        blocks in 1..30usize,
        first_version in any::<bool>(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let events = long();
        let whole = if first_version { write_v1(&events) } else { in_blocks(&events, blocks).0 };
        let mut bytes = whole.clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        // Where nothing was left before the other history was put there, that one is read, and is whole.
        if [another(false), another(true)].contains(&bytes) {
            return Ok(());
        }
        let Ok(history) = check(&bytes) else { return Ok(()) };
        prop_assert!(bytes == whole || history.events == events || !history.damage.is_empty());
        let known = |event: &Event| events.contains(event) || [header(), refused(7), trailer(2)].contains(event);
        // A file of the first version has one checksum, at its end: cut off, a changed record is only said to be damaged.
        let may_change = first_version && !history.damage.is_empty();
        prop_assert!(may_change || history.events.iter().all(known), "{:?}", history.events);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), begin in 0..4usize) {
        let begin: &[u8] = [&b""[..], MAGIC, &[0x28, 0xb5, 0x2f, 0xfd], b"{\"run\""][begin];
        let _ = check(&[begin, &bytes].concat());
    }

    #[test]
    fn no_payload_makes_a_decoder_panic(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        // A payload that is packed and checked correctly, and wrong inside: a defect of a writer.
        let events = firedrill_synthetic::Plan { operations: 20, browser_percent: 30, ..Default::default() }.events();
        let bytes = repacked(&write(&events), |raw| {
            let at = at.index(raw.len());
            raw[at] ^= flip;
        });
        let _ = check(&bytes);
    }
}
