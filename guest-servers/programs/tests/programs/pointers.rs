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
    let entries = dispatch
        .split("const HANDLERS")
        .nth(1)
        .unwrap()
        .split('(')
        .skip(2);
    let served: BTreeSet<String> = entries
        .filter_map(|entry| entry.trim_start().split(',').next())
        .map(|number| {
            number
                .strip_prefix("nr::__NR_")
                .map_or_else(|| number.to_lowercase(), str::to_owned)
        })
        .collect();
    let list = efault(&["--list"]);
    let known: BTreeSet<String> = list.lines().map(str::to_owned).collect();
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
