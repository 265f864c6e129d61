//! Runs rows, and says what is wrong.

use crate::child::{self, End};
use crate::env::Env;
use crate::places::{self, ALL, FEW, GOOD, Kind};
use crate::row::{Row, SAME, Use};
use crate::table::{ROWS, WITHOUT};
use crate::{races, raw, scenes};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// System call numbers end before this one.
const NUMBERS: i64 = 512;
/// From here on they are Ferrix's own.
const FERRIX_CALLS: i64 = 500;

/// The program.
pub fn main() -> i32 {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["--list"] => list(),
        ["--missing"] => missing(),
        ["--races"] => races::run(1),
        ["--races", rounds] => races::run(rounds.parse().unwrap_or(1)),
        ["--few", names @ ..] => sweep(names, FEW),
        names => sweep(names, u32::MAX),
    };
    result.unwrap_or_else(|error| {
        eprintln!("efault: {error}");
        2
    })
}

fn list() -> io::Result<i32> {
    known().for_each(|(_, name)| println!("{}", plain(name)));
    Ok(0)
}

fn known() -> impl Iterator<Item = (i64, &'static str)> {
    let rows = ROWS.iter().flat_map(|rows| rows.iter());
    rows.map(|row| (row.call, row.name))
        .chain(WITHOUT.iter().copied())
}

/// The name as the manual has it.
fn plain(name: &'static str) -> &'static str {
    name.strip_prefix("SYS_").unwrap_or(name)
}

/// Whether this is Ferrix.
pub fn on_ferrix() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(is_ferrix)
}

fn is_ferrix() -> bool {
    // SAFETY: any bytes are a `utsname`, and the call fills it.
    let release = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        name.release
    };
    let release: Vec<u8> = release.iter().map(|&byte| byte as u8).collect();
    release.windows(6).any(|part| part == b"ferrix")
}

/// Calls that the table does not know must not be there.
fn missing() -> io::Result<i32> {
    if !on_ferrix() {
        println!("not on this system: unknown calls with zeros might do something");
        return Ok(0);
    }
    let end = child::run(|| {
        let unknown = (0..NUMBERS).filter(|&number| known().all(|(known, _)| known != number));
        let there = unknown.filter(|&number| {
            // SAFETY: on Ferrix a call that is missing does nothing.
            let result = unsafe { raw::call(number, [0; 6]) };
            if result != -(libc::ENOSYS as isize) {
                println!("call {number} is there, with no row in the table: {result}");
            }
            result != -(libc::ENOSYS as isize)
        });
        there.count().min(100) as i32
    })?;
    println!("missing: {end:?}");
    Ok(i32::from(end != End::Exit(0)))
}

/// What of the table and the scenes has these names; all of it without.
fn sweep(names: &[&str], kinds: u32) -> io::Result<i32> {
    let chosen = |name| names.is_empty() || names.contains(&plain(name));
    let mut env = Env::new()?;
    let rows: Vec<&Row> = ROWS
        .iter()
        .flat_map(|rows| rows.iter())
        .filter(|row| chosen(row.name) && (!row.needs_terminal || env.terminal.is_some()))
        .filter(|row| row.call < FERRIX_CALLS || on_ferrix())
        .collect();
    let progress = Progress::new()?;
    let mut failed = 0;
    while let Some(rest) = rows
        .get(progress.row.load(SeqCst)..)
        .filter(|rest| !rest.is_empty())
    {
        let end = child::run(|| batch(rest, kinds, &mut env, &progress))?;
        if let End::Signal(number) = end {
            let kind = ALL.get(progress.kind.load(SeqCst));
            let row = rows[progress.row.fetch_add(1, SeqCst)];
            println!(
                "{}, {}: killed by signal {number} at {kind:?}",
                plain(row.name),
                row.what
            );
        }
        failed += u32::from(end != End::Exit(0));
    }
    let tried = progress.tried.load(SeqCst);
    let scenes = scenes::run(&chosen, kinds, &mut failed)?;
    env.clean_up();
    println!("{tried} pointers, {scenes} scenes, {failed} failed");
    Ok(i32::from(failed != 0 || tried + scenes == 0))
}

/// How far the children came.
struct Progress {
    row: &'static AtomicUsize,
    kind: &'static AtomicUsize,
    tried: &'static AtomicUsize,
}

impl Progress {
    fn new() -> io::Result<Progress> {
        Ok(Progress {
            row: child::shared_number()?,
            kind: child::shared_number()?,
            tried: child::shared_number()?,
        })
    }
}

/// The next rows, in one process: up to one that leaves its memory in pieces, or is wrong.
fn batch(rows: &[&Row], kinds: u32, env: &mut Env, progress: &Progress) -> i32 {
    if let Err(error) = env.begin() {
        println!("{error}");
        return 1;
    }
    for (number, row) in rows.iter().enumerate() {
        if number > 0 && row.how == Use::Range {
            break;
        }
        child::limit_time();
        let wrong = one_row(row, kinds, env, progress);
        progress.row.fetch_add(1, SeqCst);
        if wrong > 0 || row.how == Use::Range {
            return wrong.min(100) as i32;
        }
    }
    0
}

/// One row; how many places were wrong.
fn one_row(row: &Row, kinds: u32, env: &Env, progress: &Progress) -> u32 {
    let has_right = row.how != Use::Range && row.has_right();
    let right = has_right.then(|| attempt(row, env, None));
    let useless = [libc::EFAULT, libc::ENOSYS].map(|error| Some(-error as isize));
    let mut wrong = u32::from(useless.contains(&right));
    if wrong != 0 {
        println!(
            "{}, {}: gives {right:?} with a right pointer",
            plain(row.name),
            row.what
        );
    }
    let kinds = row.kinds(on_ferrix()) & kinds;
    for (index, &kind) in ALL
        .iter()
        .enumerate()
        .filter(|(_, kind)| kinds & kind.bit() != 0)
    {
        progress.kind.store(index, SeqCst);
        let result = attempt(row, env, Some(kind));
        if !is_expected(row, kind, result, right) {
            wrong += 1;
            let address = kind.address(row.how.size());
            println!(
                "{}, {}: gives {result} at {kind:?} ({address:#x})",
                plain(row.name),
                row.what
            );
        }
        progress.tried.fetch_add(1, SeqCst);
    }
    wrong + env.complaints.take()
}

fn is_expected(row: &Row, kind: Kind, result: isize, right: Option<isize>) -> bool {
    let outcomes = row.outcomes(kind);
    if outcomes == SAME {
        return match right {
            Some(right) if right >= 0 => result >= 0,
            right => right == Some(result),
        };
    }
    let outcome = if result >= 0 { 0 } else { -result };
    outcomes.iter().any(|&allowed| allowed as isize == outcome)
}

/// Makes the call with the pointer at such a place; `None`: at a right one.
fn attempt(row: &Row, env: &Env, kind: Option<Kind>) -> isize {
    places::fill(if row.how == Use::Text { b'a' } else { 0 });
    let pointer = kind.map_or(GOOD, |kind| kind.address(row.how.size()));
    places::put(kind, pointer, &(row.holds)(env));
    (row.before)(env);
    let args = (row.args)(env, pointer);
    // SAFETY: what the call may write lies in the memory of the tests.
    let result = unsafe { raw::call(row.call, args) };
    (row.after)(env, pointer, result);
    result
}
