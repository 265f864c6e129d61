//! An emulated computer may stop as a whole, or not go on with a test (docs/kvm.md). A test that it happens in once may be innocent and runs
//! again in another computer; one that it happens in twice is at fault, and the others run on without it.

use super::machine::Machine;

/// Computers that may stop in one run of all tests. More is no accident.
const LIMIT: usize = 5;

/// What has stopped so far.
#[derive(Debug, Default)]
pub struct Stops {
    tests: Vec<Option<String>>,
    notes: Vec<String>,
}

impl Stops {
    /// One more, in this test if it was in one. The test if it is at fault; an error if there must be no more.
    pub fn again(
        &mut self,
        test: Option<String>,
        machine: Machine,
    ) -> Result<Option<String>, String> {
        let place = test.as_deref().unwrap_or("no test").to_owned();
        // Only an emulated computer can be to blame instead.
        let known = machine != Machine::Hardware || self.tests.contains(&test);
        let guilty = test.clone().filter(|_| known);
        self.tests.push(test);
        if self.tests.len() > LIMIT {
            let stops = LIMIT + 1;
            return Err(format!("{stops} runs stopped, the last in {place}"));
        }
        self.notes.push(match (machine, &guilty) {
            (Machine::Hardware, None) => {
                format!("an emulated computer stopped in {place}: that and the rest ran in another")
            }
            (Machine::Hardware, Some(_)) => format!(
                "a second emulated computer stopped in {place}: it failed; the rest ran in another"
            ),
            _ => format!("{place} did not end: it failed; the rest ran without it"),
        });
        Ok(guilty)
    }

    /// A sentence about each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same, at the end.
    pub fn into_notes(self) -> Vec<String> {
        self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_in_which_two_computers_stop_is_at_fault() {
        let mut stops = Stops::default();
        assert_eq!(stops.again(Some("a".into()), Machine::Hardware), Ok(None));
        assert_eq!(stops.again(Some("b".into()), Machine::Hardware), Ok(None));
        assert_eq!(
            stops.again(Some("a".into()), Machine::Hardware),
            Ok(Some("a".into()))
        );
        assert_eq!(stops.notes().len(), 3);
    }

    #[test]
    fn the_hosts_own_kvm_does_not_stop() {
        let mut stops = Stops::default();
        let at_once = stops.again(Some("a".into()), Machine::Kvm);
        assert_eq!(at_once, Ok(Some("a".into())));
    }

    #[test]
    fn too_many_end_the_run() {
        let mut stops = Stops::default();
        for _ in 0..LIMIT {
            assert_eq!(
                stops.again(None, Machine::Hardware),
                Ok(None),
                "no test is at fault"
            );
        }
        let why = stops.again(None, Machine::Hardware).unwrap_err();
        assert!(why.starts_with("6 runs stopped"), "{why}");
    }
}
