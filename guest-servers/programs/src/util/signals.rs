//! Signals by name, number and description.

/// Number, name without `SIG`, and what the shell says of a child that it killed.
const SIGNALS: [(i32, &str, &str); 31] = [
    (1, "HUP", "Hangup"),
    (2, "INT", "Interrupt"),
    (3, "QUIT", "Quit"),
    (4, "ILL", "Illegal instruction"),
    (5, "TRAP", "Trace/breakpoint trap"),
    (6, "ABRT", "Aborted"),
    (7, "BUS", "Bus error"),
    (8, "FPE", "Floating point exception"),
    (9, "KILL", "Killed"),
    (10, "USR1", "User defined signal 1"),
    (11, "SEGV", "Segmentation fault"),
    (12, "USR2", "User defined signal 2"),
    (13, "PIPE", "Broken pipe"),
    (14, "ALRM", "Alarm clock"),
    (15, "TERM", "Terminated"),
    (16, "STKFLT", "Stack fault"),
    (17, "CHLD", "Child exited"),
    (18, "CONT", "Continued"),
    (19, "STOP", "Stopped (signal)"),
    (20, "TSTP", "Stopped"),
    (21, "TTIN", "Stopped (tty input)"),
    (22, "TTOU", "Stopped (tty output)"),
    (23, "URG", "Urgent I/O condition"),
    (24, "XCPU", "CPU time limit exceeded"),
    (25, "XFSZ", "File size limit exceeded"),
    (26, "VTALRM", "Virtual timer expired"),
    (27, "PROF", "Profiling timer expired"),
    (28, "WINCH", "Window changed"),
    (29, "IO", "I/O possible"),
    (30, "PWR", "Power failure"),
    (31, "SYS", "Bad system call"),
];

/// A signal's number by number or name, with or without `SIG`. 0 is no signal, but kill(2)
/// takes it.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS
        .iter()
        .find(|(_, known, _)| *known == name)
        .map(|(number, ..)| *number)
}

/// A signal's name, without `SIG`.
pub fn name(number: i32) -> &'static str {
    SIGNALS
        .iter()
        .find(|(known, ..)| *known == number)
        .map_or("?", |(_, name, _)| name)
}

/// What killed a child, in words.
pub fn description(number: i32) -> &'static str {
    SIGNALS
        .iter()
        .find(|(known, ..)| *known == number)
        .map_or("Unknown signal", |(.., text)| text)
}

/// All names by number.
pub fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(_, name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for text in ["KILL", "sigkill", "SIGKILL", "9"] {
            assert_eq!(number(text), Some(9));
        }
        assert_eq!(number("NONE"), None);
        assert_eq!(number("65"), None);
        assert!((1..=31).all(|signal| number(name(signal)) == Some(signal)));
        assert_eq!(description(libc::SIGSEGV), "Segmentation fault");
    }
}
