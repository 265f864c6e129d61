//! `ulimit`.

use super::{misuse, number};
use crate::cx::cause;
use crate::sh::ast::Bytes;
use crate::sh::state::{Flow, Shell};
use crate::sys::limit::resource as number_of;
use crate::sys::limit::{self, INFINITY, Limit};

/// A resource: its option, what it is, its unit in bytes (or 1), its number.
struct Resource {
    option: u8,
    name: &'static str,
    unit: u64,
    number: i32,
}

const fn resource(option: u8, name: &'static str, unit: u64, number: i32) -> Resource {
    Resource {
        option,
        name,
        unit,
        number,
    }
}

/// The options, as in other shells; POSIX has `-f` alone.
const RESOURCES: [Resource; 15] = [
    resource(b'c', "core file size (blocks)", 512, number_of::CORE),
    resource(b'd', "data seg size (kbytes)", 1024, number_of::DATA),
    resource(b'e', "scheduling priority", 1, number_of::NICE),
    resource(b'f', "file size (blocks)", 512, number_of::FSIZE),
    resource(b'i', "pending signals", 1, number_of::SIGPENDING),
    resource(b'l', "locked memory (kbytes)", 1024, number_of::MEMLOCK),
    resource(b'm', "resident memory (kbytes)", 1024, number_of::RSS),
    resource(b'n', "open files", 1, number_of::NOFILE),
    resource(b'q', "message queues (bytes)", 1, number_of::MSGQUEUE),
    resource(b'r', "real-time priority", 1, number_of::RTPRIO),
    resource(b's', "stack size (kbytes)", 1024, number_of::STACK),
    resource(b't', "cpu time (seconds)", 1, number_of::CPU),
    resource(b'u', "processes", 1, number_of::NPROC),
    resource(b'v', "virtual memory (kbytes)", 1024, number_of::AS),
    resource(b'x', "file locks", 1, number_of::LOCKS),
];

/// Which of the two limits are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Soft,
    Hard,
    /// The soft one to show, both to set.
    Either,
}

/// `ulimit [-HS] [-a | -cdefilmnqrstuvx] [LIMIT|unlimited]`
pub fn ulimit(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let mut which = Which::Either;
    let mut chosen = &RESOURCES[3];
    let mut all = false;
    let mut operands = &words[1..];
    while let [word, rest @ ..] = operands
        && let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.is_empty())
    {
        operands = rest;
        for letter in letters {
            match letter {
                b'H' => which = Which::Hard,
                b'S' => which = Which::Soft,
                b'a' => all = true,
                _ => match RESOURCES.iter().find(|known| known.option == *letter) {
                    Some(known) => chosen = known,
                    None => {
                        let letter = letter.escape_ascii();
                        return misuse(shell, words, &format!("-{letter}: no such limit"));
                    }
                },
            }
        }
    }
    match operands {
        [] if all => show_all(shell, which),
        [] => show(shell, chosen, which, ""),
        [value] if !all => set(shell, words, chosen, which, value),
        _ => misuse(shell, words, "too many operands"),
    }
}

fn show_all(shell: &Shell, which: Which) -> Flow {
    for known in &RESOURCES {
        let label = format!("-{}: {:<28} ", char::from(known.option), known.name);
        show(shell, known, which, &label)?;
    }
    Ok(0)
}

fn show(shell: &Shell, what: &Resource, which: Which, label: &str) -> Flow {
    let limit = match limit::get(what.number) {
        Ok(limit) => limit,
        Err(why) => return refused(shell, what, &cause(&why)),
    };
    let value = match which {
        Which::Hard => limit.hard,
        _ => limit.soft,
    };
    match value {
        INFINITY => println!("{label}unlimited"),
        value => println!("{label}{}", value / what.unit),
    }
    Ok(0)
}

fn set(shell: &Shell, words: &[Bytes], what: &Resource, which: Which, text: &[u8]) -> Flow {
    let old = match limit::get(what.number) {
        Ok(limit) => limit,
        Err(why) => return refused(shell, what, &cause(&why)),
    };
    let value = match text {
        b"unlimited" => Some(INFINITY),
        b"hard" => Some(old.hard),
        b"soft" => Some(old.soft),
        digits => number::<u64>(digits).and_then(|value| value.checked_mul(what.unit)),
    };
    let Some(value) = value else {
        let text = text.escape_ascii();
        return misuse(
            shell,
            words,
            &format!("{text}: is no number, nor `unlimited`"),
        );
    };
    let new = match which {
        Which::Soft => Limit { soft: value, ..old },
        Which::Hard => Limit { hard: value, ..old },
        Which::Either => Limit {
            soft: value,
            hard: value,
        },
    };
    match limit::set(what.number, new) {
        Ok(()) => Ok(0),
        Err(why) => refused(shell, what, &cause(&why)),
    }
}

fn refused(shell: &Shell, what: &Resource, why: &str) -> Flow {
    shell.complain(&format!("ulimit: {}: {why}", what.name));
    Ok(1)
}
