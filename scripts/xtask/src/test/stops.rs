//! An emulated computer may stop as a whole (docs/kvm.md). A test that it happens in once may be innocent and runs
//! again in another computer; one that it happens in twice is at fault, and the others run on without it.

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
    pub fn again(&mut self, test: Option<String>) -> Result<Option<String>, String> {
        let place = test.as_deref().unwrap_or("no test").to_owned();
        let guilty = test.clone().filter(|_| self.tests.contains(&test));
        self.tests.push(test);
        if self.tests.len() > LIMIT {
            return Err(format!(
                "{} emulated computers stopped, the last in {place}",
                LIMIT + 1
            ));
        }
        self.notes.push(match guilty {
            Some(_) => format!(
                "a second emulated computer stopped in {place}: it failed; the rest ran in another"
            ),
            None => {
                format!("an emulated computer stopped in {place}: that and the rest ran in another")
            }
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
        assert_eq!(stops.again(Some("a".into())), Ok(None));
        assert_eq!(stops.again(Some("b".into())), Ok(None));
        assert_eq!(stops.again(Some("a".into())), Ok(Some("a".into())));
        assert_eq!(stops.notes().len(), 3);
    }

    #[test]
    fn too_many_end_the_run() {
        let mut stops = Stops::default();
        for _ in 0..LIMIT {
            assert_eq!(stops.again(None), Ok(None), "no test is at fault");
        }
        let why = stops.again(None).unwrap_err();
        assert!(why.starts_with("6 emulated computers stopped"), "{why}");
    }
}
