//! `/proc/PID/limits`.

use super::Source;
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use ferrix_abi::limit::{INFINITY, RESOURCES};
use ferrix_abi::process::ProcessInfo;

/// Names and units as Linux has them, by number; the last is Ferrix's own.
const NAMES: [(&str, &str); RESOURCES] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
    ("Max handles", "handles"),
];

fn value(value: u64) -> String {
    match value {
        INFINITY => String::from("unlimited"),
        value => format!("{value}"),
    }
}

/// proc(5), `/proc/[pid]/limits`.
pub fn text(info: &ProcessInfo, source: &dyn Source) -> String {
    let limits = source.limits(info.pid).limits;
    let mut text = String::from(
        "Limit                     Soft Limit           Hard Limit           Units     \n",
    );
    for ((name, unit), limit) in NAMES.iter().zip(limits) {
        let (soft, hard) = (value(limit.soft), value(limit.hard));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<25} {soft:<20} {hard:<20} {unit:<10}");
    }
    text
}
