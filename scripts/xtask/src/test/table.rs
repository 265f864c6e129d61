//! Tests × machines.

use super::output::{Count, Outcome};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What a document has around the table.
const BEGIN: &str = "<!-- tests by machine: begin (cargo xtask test --update-docs) -->\n";
const END: &str = "<!-- tests by machine: end -->\n";

/// What one machine made of the tests.
#[derive(Debug)]
pub struct Column {
    /// By the test's name.
    pub outcomes: BTreeMap<String, Outcome>,
    /// How long the run took; none if there was none.
    pub seconds: Option<u64>,
    /// Why the run as a whole failed, beside what the tests say.
    pub broken: Option<String>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// All columns, with one row a test.
#[derive(Debug)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<(String, Column)>,
}

impl Outcome {
    /// In a cell.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::NotApplicable(_) => "-",
            Self::Missing(_) => "missing",
            Self::LeftOut(_) => "left out",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed | Self::Failed => None,
            Self::NotApplicable(reason) | Self::Missing(reason) | Self::LeftOut(reason) => {
                Some(reason)
            }
        }
    }
}

impl Column {
    /// A run that ended early leaves tests without an outcome: each counts as a failure.
    fn cell(&self, name: &str) -> &'static str {
        self.outcomes.get(name).map_or("not run", Outcome::word)
    }

    fn count(&self, names: &[String]) -> Count {
        let mut count = Count::default();
        for name in names {
            let failed = &Outcome::Failed;
            count.add(self.outcomes.get(name).unwrap_or(failed).count());
        }
        count.failed += u64::from(self.broken.is_some());
        count
    }

    fn time(&self) -> String {
        match self.seconds {
            Some(seconds) => format!("{seconds} s"),
            None => "missing".into(),
        }
    }
}

impl Table {
    /// Rows without columns.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            columns: Vec::new(),
        }
    }

    /// Adds a machine.
    pub fn push(&mut self, title: String, column: Column) {
        self.columns.push((title, column));
    }

    /// What all cells add to the closing line.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for (_, column) in &self.columns {
            count.add(column.count(&self.names));
        }
        count
    }

    /// Header, one row a test, and how long each machine took.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |first: &str, cell: &dyn Fn(&(String, Column)) -> String| {
            let cells = self.columns.iter().map(cell);
            std::iter::once(first.to_string()).chain(cells).collect()
        };
        let mut rows = vec![row("test", &|(title, _)| title.clone())];
        for name in &self.names {
            rows.push(row(name, &|(_, column)| column.cell(name).into()));
        }
        rows.push(row("passed / failed / skipped", &|(_, column)| {
            let count = column.count(&self.names);
            format!("{} / {} / {}", count.passed, count.failed, count.skipped)
        }));
        rows.push(row("time", &|(_, column)| column.time()));
        rows
    }

    /// Why cells are empty: reasons, each with its machine and its tests.
    fn reasons(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (title, column) in &self.columns {
            let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
            for name in &self.names {
                let Some(outcome) = column.outcomes.get(name) else {
                    continue;
                };
                if let Some(reason) = outcome.reason() {
                    let tests = groups.entry((outcome.word(), reason)).or_default();
                    tests.push(name);
                }
            }
            lines.extend(column.notes.iter().map(|note| format!("{title}: {note}")));
            let all = self.names.len();
            lines.extend(groups.into_iter().map(|((word, reason), tests)| {
                let which = match tests.len() == all {
                    true => "all tests".into(),
                    false => tests.join(", "),
                };
                format!("{title}: {word}: {reason}: {which}")
            }));
        }
        lines
    }

    /// Runs that failed as a whole.
    fn broken(&self) -> impl Iterator<Item = String> {
        let told = |(title, column): &(String, Column)| {
            let why = column.broken.as_ref()?;
            Some(format!("{title}: FAILED: {why}"))
        };
        self.columns.iter().filter_map(told)
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let rows = self.rows();
        let width = |index: usize| rows.iter().map(|row| row[index].chars().count()).max();
        let widths: Vec<usize> = (0..=self.columns.len()).filter_map(width).collect();
        let mut text = String::new();
        // What failed stands nearest to the end.
        for reason in self.reasons() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{reason}");
        }
        for row in &rows {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        for why in self.broken() {
            let _ = writeln!(text, "{why}");
        }
        text
    }

    /// For documents.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.rows().into_iter().enumerate() {
            let code = index > 0 && index <= self.names.len();
            let first = match code {
                true => format!("`{}`", row[0]),
                false => row[0].clone(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {first} | {} |", row[1..].join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
            }
        }
        for reason in self.broken().chain(self.reasons()) {
            let _ = write!(text, "\n- {reason}");
        }
        text.trim_end().to_string() + "\n"
    }
}

/// Puts the table between the marks of a document.
pub fn into_document(table: &Table, path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let text = replaced(&text, &table.markdown());
    let text = text.with_context(|| format!("{}: no line `{}`", name(), BEGIN.trim()))?;
    fs::write(path, text).with_context(name)
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(outcomes: &[(&str, Outcome)], broken: Option<&str>) -> Column {
        let outcomes = outcomes.iter().cloned();
        Column {
            outcomes: outcomes.map(|(name, it)| (name.into(), it)).collect(),
            seconds: Some(7),
            broken: broken.map(String::from),
            notes: Vec::new(),
        }
    }

    fn table() -> Table {
        let mut table = Table::new(vec!["x::a".into(), "x::b".into()]);
        let kvm = [("x::a", Outcome::Passed), ("x::b", Outcome::Failed)];
        table.push("KVM".into(), column(&kvm, None));
        let why = Outcome::NotApplicable("about the monitor".into());
        let slow = Outcome::LeftOut("too slow".into());
        table.push(
            "QEMU".into(),
            column(&[("x::a", why), ("x::b", slow)], None),
        );
        table
    }

    #[test]
    fn counts_every_cell_once() {
        assert_eq!(table().count().to_string(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_run_that_broke_off_fails() {
        let mut table = Table::new(vec!["x::a".into()]);
        table.push("KVM".into(), column(&[], Some("killed")));
        assert_eq!(table.count().failed, 2, "the test and the run");
        assert!(table.text().contains("KVM: FAILED: killed"));
    }

    #[test]
    fn is_readable() {
        let text = table().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "QEMU: -: about the monitor: x::a");
        assert_eq!(lines[1], "QEMU: left out: too slow: x::b");
        assert_eq!(lines[2], "test                       KVM        QEMU");
        assert_eq!(lines[3], "x::a                       ok         -");
        assert_eq!(lines[4], "x::b                       FAILED     left out");
        assert_eq!(lines[5], "passed / failed / skipped  1 / 1 / 0  0 / 0 / 1");
        assert!(!text.contains("KVM: "), "nothing to explain there");
    }

    #[test]
    fn markdown_goes_between_the_marks() {
        let old = format!("head\n{BEGIN}old\n{END}tail\n");
        let new = replaced(&old, &table().markdown()).unwrap();
        assert!(new.starts_with("head\n<!--") && new.ends_with("-->\ntail\n"));
        assert!(new.contains("| test | KVM | QEMU |\n|---|---|---|\n| `x::a` | ok | - |\n"));
        assert!(!new.contains("old"));
        assert_eq!(replaced(&new, &table().markdown()), Some(new));
        assert_eq!(replaced("no marks", ""), None);
    }
}
