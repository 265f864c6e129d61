use proptest::prelude::*;

use ferrix_machine::trace::RECORDS;

use super::*;
use crate::config::MemorySize;
use crate::memory;

const MIB: u64 = 1 << 20;

fn ram() -> Ram {
    memory::allocate(MemorySize::mib(4)).unwrap()
}

fn told(cpus: usize) -> Told {
    let origin = Some((100, 0.0));
    Told {
        origin,
        ..Told::new(1000, cpus)
    }
}

fn fill(ram: &Ram, address: u64, head: [u32; 2], records: &[Record]) {
    let at = |offset: usize| GuestAddress(address + offset as u64);
    ram.write_obj(u64::from(head[0]), at(0)).unwrap();
    ram.write_obj(head[1], at(8)).unwrap();
    for (index, record) in records.iter().enumerate() {
        let base = RECORD_SIZE * (index + 1);
        ram.write_obj(record.time, at(base)).unwrap();
        let bytes = [record.kind, record.state, record.priority, record.cpu];
        ram.write_slice(&bytes, at(base + 8)).unwrap();
        let halves = [record.thread, record.other, record.extra];
        for (place, half) in halves.into_iter().enumerate() {
            ram.write_obj(half, at(base + 12 + 4 * place)).unwrap();
        }
        ram.write_obj(record.value, at(base + 24)).unwrap();
    }
}

/// A record with a name.
fn named(kind: u8, time: u64, number: u32, name: &[u8]) -> Record {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name);
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    Record {
        time,
        kind,
        state: number as u8,
        thread: number,
        other: half(0),
        extra: half(4),
        value: u64::from_le_bytes(bytes[8..].try_into().unwrap()),
        ..Record::default()
    }
}

/// A shell of process and thread 7 calls thread 9 on CPU 1.
fn call() -> [Record; 6] {
    let record = |time, kind, thread, other| Record {
        time,
        kind,
        thread,
        other,
        ..Record::default()
    };
    [
        named(kind::STATE, 1, 6, b"reply"),
        named(kind::STATE, 2, 5, b"receive"),
        record(3, kind::BEGIN, 7, 7),
        named(kind::PROCESS, 4, 7, b"sh"),
        record(100, kind::SWITCH, 0, 7),
        Record {
            state: 6,
            cpu: 5,
            extra: 9,
            ..record(105, kind::SWITCH, 7, 9)
        },
    ]
}

fn events(text: &str) -> Vec<serde_json::Value> {
    let whole = format!("[{}]", text.trim_end().trim_end_matches(','));
    serde_json::from_str(&whole).unwrap()
}

/// The slices of the shell on CPU 1.
fn slices(text: &str) -> Vec<serde_json::Value> {
    let slice = json!({"ph": "X", "cat": "cpu", "name": "sh", "pid": 2, "tid": 1,
        "ts": 0.0, "dur": 5.0, "args": {"tid": 7, "then": "reply"}});
    let events = events(text).into_iter();
    events.filter(|event| *event == slice).collect()
}

#[test]
fn a_switch_ends_a_slice_and_draws_the_message() {
    let (ram, mut told) = (ram(), told(2));
    fill(&ram, MIB, [6, 1], &call());
    told.show(&ram, MIB);
    assert_eq!(slices(&told.text).len(), 1);
    let arrows: Vec<_> = events(&told.text)
        .into_iter()
        .filter(|event| event["name"] == "call")
        .collect();
    assert_eq!((arrows.len(), told.lost), (2, 0));
    assert_eq!(arrows[0]["id"], arrows[1]["id"]);
    assert_eq!(
        (&arrows[0]["ph"], &arrows[0]["tid"]),
        (&"s".into(), &7.into())
    );
}

#[test]
fn what_was_told_is_not_told_again() {
    let (ram, mut told) = (ram(), told(2));
    fill(&ram, MIB, [6, 1], &call());
    told.show(&ram, MIB);
    told.show(&ram, MIB);
    told.finish(&ram);
    assert_eq!(slices(&told.text).len(), 1);
}

#[test]
fn names_cannot_break_the_file() {
    let (ram, mut told) = (ram(), told(1));
    let begin = Record {
        time: 1,
        kind: kind::BEGIN,
        thread: 3,
        other: 3,
        ..Record::default()
    };
    let name = named(kind::NAME, 2, 3, b"\"},\\\n\xff\x01{");
    fill(&ram, 0, [2, 0], &[begin, name]);
    told.show(&ram, 0);
    let named = events(&told.text).pop().unwrap();
    assert_eq!(named["args"]["name"], "\"},\\\n\u{fffd}\u{1}{");
}

#[test]
fn buffers_that_cannot_be_are_counted() {
    let (ram, mut told) = (ram(), told(2));
    fill(&ram, 0, [1, 2], &call());
    fill(&ram, MIB, [0, 0], &[]);
    told.cpus[0].read = 1;
    for (address, lost, why) in [
        (0, 1, "no such CPU"),
        (MIB, 3, "fewer than before, and the first one again"),
        (2 * MIB, 4, "more buffers than CPUs"),
    ] {
        told.show(&ram, address);
        assert_eq!(told.lost, lost, "{why}");
    }
    told.buffers.clear();
    told.show(&ram, 4 * MIB - 4096);
    assert_eq!(told.lost, 5, "beyond the end of RAM");
    let is_name = |event: &serde_json::Value| event["ph"] == "M";
    assert!(events(&told.text).iter().all(is_name), "{}", told.text);
}

#[test]
fn places_come_round() {
    let (ram, mut told) = (ram(), told(1));
    let begin = |time: u64| Record {
        time,
        kind: kind::BEGIN,
        thread: time as u32,
        ..Record::default()
    };
    let all: Vec<Record> = (1..=RECORDS as u64).map(begin).collect();
    fill(&ram, 0, [RECORDS as u32, 0], &all);
    told.show(&ram, 0);
    assert_eq!((told.threads.len(), told.lost), (RECORDS, 0));
    fill(
        &ram,
        0,
        [RECORDS as u32 + 2, 0],
        &[begin(50_000), begin(50_001)],
    );
    told.show(&ram, 0);
    assert_eq!((told.threads.len(), told.lost), (RECORDS + 2, 0));
    assert!(told.threads.contains_key(&50_001));
}

#[test]
fn more_than_a_buffer_holds_cannot_be() {
    let (ram, mut told) = (ram(), told(1));
    fill(&ram, 0, [RECORDS as u32 + 1, 0], &call());
    told.show(&ram, 0);
    assert_eq!((told.threads.len(), told.lost), (0, 1));
}

#[test]
fn threads_without_end_are_not_kept() {
    let (ram, mut told) = (ram(), told(1));
    for number in 0..MOST_THREADS as u32 + 10 {
        let begin = Record {
            time: 1 + u64::from(number),
            kind: kind::BEGIN,
            thread: number,
            ..Record::default()
        };
        told.note(0, &begin);
    }
    assert_eq!(told.threads.len(), MOST_THREADS);
    told.finish(&ram);
}

proptest! {
    #[test]
    fn whatever_a_buffer_holds_the_file_stays_json(
        bytes in proptest::collection::vec(any::<u8>(), RECORD_SIZE * 12),
        kinds in proptest::collection::vec(0..15u8, 11),
        threads in proptest::collection::vec(0..3u8, 11),
    ) {
        let (ram, mut told) = (ram(), told(2));
        let mut bytes = bytes;
        bytes[..12].copy_from_slice(&[11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        for index in 0..11 {
            let at = RECORD_SIZE * (index + 1);
            bytes[at + 8] = kinds[index];
            bytes[at + 12..at + 16].copy_from_slice(&[threads[index], 0, 0, 0]);
        }
        ram.write_slice(&bytes, GuestAddress(MIB)).unwrap();
        told.show(&ram, MIB);
        told.finish(&ram);
        events(&told.text);
    }
}
