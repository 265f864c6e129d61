//! What tests said when they failed: test programs print it once all have run, far above the end of a long log. Guest
//! tests print it at once, too, between two lines of their own, as their machine may not live to the end.

use std::fmt;

/// Lines of all failures that are shown again, together: what fits on a screen or two.
const SHOWN: usize = 60;
/// Of one failure at least: the first lines say what is wrong, the last ones often why.
const LEAST: usize = 10;
/// Of the first lines.
const HEAD: usize = 2;

/// Before a test's words that come at once, with its name; tests/guest/trial.rs writes it.
const AT_ONCE: &str = "failure of ";
/// Behind them.
const AT_ONCE_END: &str = "end of failure";

/// Collects the sections `---- NAME ----` (or `---- NAME stdout ----`) that follow a line `failures:`, and those
/// from `failure of NAME` to `end of failure`.
#[derive(Debug, Default)]
pub struct Failures {
    sections: Vec<Section>,
    inside: bool,
    /// The lines are of the last section.
    open: bool,
}

/// One test's words.
#[derive(Debug)]
struct Section {
    test: String,
    lines: Vec<String>,
}

impl Failures {
    /// Reads one more line of a program's output.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if line == "failures:" || line.starts_with("test result:") {
            // The second such line heads a list of names only, but no section follows it.
            self.inside = line == "failures:" && !self.inside;
            self.open = false;
        } else if line == AT_ONCE_END {
            self.open = false;
        } else if let Some(test) = line.strip_prefix(AT_ONCE) {
            self.begin(test);
        } else if let Some(test) = self.inside.then(|| heading(line)).flatten() {
            self.begin(test);
        } else if let Some(section) = self.sections.last_mut().filter(|_| self.open) {
            section.lines.push(line.into());
        }
    }

    /// A test is told once.
    fn begin(&mut self, test: &str) {
        self.open = self.sections.iter().all(|section| section.test != test);
        if self.open {
            self.sections.push(Section {
                test: test.into(),
                lines: Vec::new(),
            });
        }
    }

    /// One more, that the program itself could not tell.
    pub fn tell(&mut self, test: &str, why: String) {
        self.sections.push(Section {
            test: test.into(),
            lines: vec![why],
        });
    }

    /// These, said of `place`.
    pub fn at(mut self, place: &str) -> Self {
        for section in &mut self.sections {
            section.test = format!("{place}: {}", section.test);
        }
        self
    }

    /// Collects what another run said, too.
    pub fn add(&mut self, more: Self) {
        self.sections.extend(more.sections);
    }
}

fn heading(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

/// Every failure with its first and its last lines.
impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let share = SHOWN / self.sections.len().max(1);
        let most = share.max(LEAST);
        for Section { test, lines } in &self.sections {
            writeln!(f, "FAILED: {test}")?;
            let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
            let cut = match lines.len() > most {
                true => HEAD..lines.len() - (most - HEAD),
                false => 0..0,
            };
            for (number, line) in lines.into_iter().enumerate() {
                if number == cut.start && !cut.is_empty() {
                    writeln!(f, "    [{} lines]", cut.len())?;
                }
                if !cut.contains(&number) {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Failures {
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.line(line));
        failures
    }

    #[test]
    fn both_kinds_of_test_programs_are_understood() {
        let text = "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\nbecause\n\n\nfailures:\n    a\n\n\
                    test result: FAILED. 0 passed\nfailures:\n\n---- b::c ----\nwhy\n";
        let shown = read(text).to_string();
        assert_eq!(shown, "FAILED: a\n    because\nFAILED: b::c\n    why\n");
    }

    #[test]
    fn what_is_told_at_once_is_told_once() {
        let text = "test a ... failure of a\nwhy\nend of failure\nFAILED\ntest b ... ok\n";
        let shown = "FAILED: a\n    why\n";
        let text = text.replace("... failure", "...\nfailure");
        assert_eq!(
            read(&text).to_string(),
            shown,
            "the machine did not live on"
        );
        let whole = format!("{text}\nfailures:\n\n---- a ----\nwhy\n\nfailures:\n    a\n");
        assert_eq!(read(&whole).to_string(), shown);
    }

    #[test]
    fn both_ends_of_a_long_failure_are_kept() {
        let long: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let shown = read(&format!("failures:\n---- x ----\n{long}"))
            .at("kvm")
            .to_string();
        assert!(
            shown.starts_with(
                "FAILED: kvm: x\n    line 0\n    line 1\n    [40 lines]\n    line 42\n"
            ),
            "{shown}"
        );
        assert!(shown.ends_with("    line 99\n"));
    }

    #[test]
    fn nothing_is_said_of_success() {
        let text = "test a ... ok\n---- not a heading here ----\ntest result: ok. 1 passed\n";
        assert_eq!(read(text).to_string(), "");
    }
}
