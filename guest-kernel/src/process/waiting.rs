//! Which children a wait finds, and what it reports.

use ferrix_abi::process::{WaitFor, wait};

/// What a child has to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has ended with this status.
    Ended(u32),
    /// It was stopped by this signal.
    Stopped(u32),
    /// It was continued.
    Continued,
}

impl Report {
    /// As `wait4` encodes it.
    pub fn status(self) -> u32 {
        match self {
            Report::Ended(status) => status,
            Report::Stopped(signal) => signal << 8 | 0x7f,
            Report::Continued => 0xffff,
        }
    }

    /// Whether `Wait` with these options reports it.
    pub fn is_wanted(self, options: u32) -> bool {
        let option = match self {
            Report::Ended(_) => wait::EXITED,
            Report::Stopped(_) => wait::STOPPED,
            Report::Continued => wait::CONTINUED,
        };
        options & option != 0
    }
}

/// Whether a wait for (`which`, `id`) means the child.
pub fn is_meant(which: WaitFor, id: u32, pid: u32, group: u32) -> bool {
    match which {
        WaitFor::Any => true,
        WaitFor::Pid => pid == id,
        WaitFor::Group => group == id,
    }
}

/// What a search among the children found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search<C> {
    /// A child with something to report.
    Found(C, Report),
    /// Children, but none with something to report.
    Wait,
    /// No child that is meant.
    NoChild,
}

/// Looks through the children, each with pid, group and what it has to report.
pub fn search<C>(
    children: impl Iterator<Item = (C, u32, u32, Option<Report>)>,
    which: WaitFor,
    id: u32,
    options: u32,
) -> Search<C> {
    let mut result = Search::NoChild;
    for (child, pid, group, report) in children {
        if !is_meant(which, id, pid, group) {
            continue;
        }
        match report.filter(|report| report.is_wanted(options)) {
            Some(report) => return Search::Found(child, report),
            None => result = Search::Wait,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report() -> impl Strategy<Value = Option<Report>> {
        prop_oneof![
            Just(None),
            (0u32..256).prop_map(|code| Some(Report::Ended(code << 8))),
            (1u32..65).prop_map(|signal| Some(Report::Stopped(signal))),
            Just(Some(Report::Continued)),
        ]
    }

    proptest! {
        #[test]
        fn finds_the_first_child_that_is_meant_and_has_news(
            children in prop::collection::vec((1u32..6, 1u32..4, report()), 0..8),
            which in 0u8..3, id in 1u32..6, options in 0u32..16,
        ) {
            let which = WaitFor::try_from(which).unwrap();
            let list = children.iter().enumerate();
            let found = search(
                list.map(|(index, &(pid, group, report))| (index, pid, group, report)),
                which, id, options,
            );
            let meant: Vec<usize> = (0..children.len())
                .filter(|&index| match which {
                    WaitFor::Any => true,
                    WaitFor::Pid => children[index].0 == id,
                    WaitFor::Group => children[index].1 == id,
                })
                .collect();
            let news = |index: &usize| match children[*index].2 {
                None => false,
                Some(Report::Ended(_)) => options & 4 != 0,
                Some(Report::Stopped(_)) => options & 2 != 0,
                Some(Report::Continued) => options & 8 != 0,
            };
            let expected = match meant.iter().find(|index| news(index)) {
                Some(&index) => Search::Found(index, children[index].2.unwrap()),
                None if meant.is_empty() => Search::NoChild,
                None => Search::Wait,
            };
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn statuses_are_linux_s() {
        assert_eq!(Report::Ended(3 << 8).status(), 0x300);
        assert_eq!(Report::Stopped(19).status(), 0x137f);
        assert_eq!(Report::Continued.status(), 0xffff);
    }
}
