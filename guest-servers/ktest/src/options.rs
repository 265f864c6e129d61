//! What the kernel's command line asks for.

use ferrix_rt::sys::system::kernel_info;

/// The value of `key=`; the last one counts.
fn value(key: &str) -> Option<&'static str> {
    let info = kernel_info();
    let line = info.command_line.get(..info.command_line_length as usize)?;
    let words = core::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words
        .filter_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .next_back()
}

/// Part of the names of the tests to run; empty for all.
pub fn only() -> &'static str {
    value("only").unwrap_or_default()
}

/// Names of the processor's features that the kernel does without.
pub fn without() -> impl Iterator<Item = &'static str> {
    value("without")
        .into_iter()
        .flat_map(|list| list.split(','))
}

/// Whether threads inherit the priorities of those who wait for them.
pub fn inherits() -> bool {
    value("inheritance") != Some("off")
}

/// Where the random numbers of the stress tests start.
pub fn seed() -> u64 {
    number("seed", 0x5eed)
}

/// How often each stress test repeats what it does.
pub fn rounds() -> u64 {
    number("rounds", 1)
}

/// How many clients call how many servers in the stress test of those.
pub fn clients_and_servers() -> (u64, u64) {
    (number("clients", 16), number("servers", 4))
}

fn number(key: &str, default: u64) -> u64 {
    value(key)
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
