//! What `efault` expects of wrong pointers is what Linux does; and its table knows every call of the personality.

use std::collections::BTreeSet;
use std::process::Command;

const EFAULT: &str = env!("CARGO_BIN_EXE_efault");

/// Runs it; what it printed.
fn efault(arguments: &[&str]) -> String {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(EFAULT);
    command.args(arguments).env("TMPDIR", place.path());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "efault {arguments:?}: {text}");
    text
}

#[test]
fn linux_answers_as_the_table_says() {
    let text = efault(&[]);
    let last = text.lines().last().unwrap();
    assert!(last.ends_with(" 0 failed"), "{text}");
    let pointers: usize = last.split(' ').next().unwrap().parse().unwrap();
    assert!(pointers > 3000, "{last}");
}

#[test]
fn linux_survives_the_races() {
    assert_eq!(efault(&["--races", "5"]).matches("Exit(0)").count(), 2);
}

/// A call that the personality has and the table does not know fails here.
#[test]
fn the_table_knows_every_call() {
    let dispatch = include_str!("../../../posix/src/dispatch.rs");
    let served: BTreeSet<&str> = dispatch
        .split("nr::__NR_")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
        .collect();
    let list = efault(&["--list"]);
    let known: BTreeSet<&str> = list.lines().collect();
    let unknown: Vec<_> = served.difference(&known).collect();
    assert!(
        served.len() > 150 && unknown.is_empty(),
        "no rows in src/bin/efault/table for {unknown:?}"
    );
    let lost: Vec<_> = known.difference(&served).collect();
    assert!(
        lost.is_empty(),
        "rows for calls that the personality does not have: {lost:?}"
    );
}
