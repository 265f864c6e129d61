//! Random reads and writes, many in flight, finished in any order, against a plain array.

use super::virtio_device::Taken;
use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Read {
        sector: u64,
        pieces: usize,
    },
    Write {
        sector: u64,
        pieces: usize,
        value: u8,
    },
    Kick,
    Take,
    Finish {
        pick: usize,
    },
    Complete,
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..SECTORS - 4, 1usize..5);
    prop_oneof![
        3 => place.clone().prop_map(|(sector, pieces)| Step::Read { sector, pieces }),
        3 => (place, any::<u8>())
            .prop_map(|((sector, pieces), value)| Step::Write { sector, pieces, value }),
        2 => Just(Step::Kick),
        4 => Just(Step::Take),
        4 => any::<usize>().prop_map(|pick| Step::Finish { pick }),
        4 => Just(Step::Complete),
    ]
}

/// What the device did for a token: the data that a read must have brought.
struct History {
    setup: Setup,
    taken: Vec<(Taken, u32)>,
    submitted: Vec<(Vec<Segment>, Option<u64>)>,
    device_order: std::collections::VecDeque<u32>,
    finished: std::collections::VecDeque<(u32, Vec<u8>)>,
}

impl History {
    fn submit(&mut self, sector: u64, pieces: usize, write: Option<u8>) {
        let token = self.submitted.len() as u32;
        let base = token as usize * 2048;
        let setup = &mut self.setup;
        let segments: Vec<Segment> = (0..pieces)
            .map(|piece| setup.data.segment(base + piece * 512, 512))
            .collect();
        let request = match write {
            Some(value) => {
                segments
                    .iter()
                    .for_each(|one| setup.guest.write(*one, &[value; 512]));
                Request::Write {
                    sector,
                    from: &segments,
                }
            }
            None => Request::Read {
                sector,
                into: &segments,
            },
        };
        match setup.disk.submit(request, token) {
            Ok(()) => {
                self.device_order.push_back(token);
                self.submitted
                    .push((segments, write.is_none().then_some(sector)));
            }
            Err(error) => assert_eq!(error, SubmitError::Full),
        }
    }

    fn finish(&mut self, pick: usize) {
        if self.taken.is_empty() {
            return;
        }
        let (taken, token) = self.taken.swap_remove(pick % self.taken.len());
        self.setup.device.finish(&self.setup.guest.memory, &taken);
        let (segments, read) = &self.submitted[token as usize];
        let expected = read.map_or_else(Vec::new, |sector| {
            let from = sector as usize * 512;
            self.setup.device.data[from..from + segments.len() * 512].to_vec()
        });
        self.finished.push_back((token, expected));
    }

    fn complete(&mut self) {
        let done = self.setup.disk.complete().unwrap();
        let Some((token, expected)) = self.finished.pop_front() else {
            assert!(done.is_none());
            return;
        };
        let segments = &self.submitted[token as usize].0;
        let bytes = segments.len() as u64 * 512;
        assert_eq!(done, Some((token, Ok(Outcome::Transferred { bytes }))));
        if !expected.is_empty() {
            let guest = &self.setup.guest;
            let read: Vec<u8> = segments.iter().flat_map(|one| guest.read(*one)).collect();
            assert_eq!(read, expected);
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Read { sector, pieces } => self.submit(sector, pieces, None),
            Step::Write {
                sector,
                pieces,
                value,
            } => self.submit(sector, pieces, Some(value)),
            Step::Kick => self.setup.disk.kick(),
            Step::Take => {
                if let Some(taken) = self.setup.device.take(&self.setup.guest.memory) {
                    let token = self.device_order.pop_front().unwrap();
                    self.taken.push((taken, token));
                }
            }
            Step::Finish { pick } => self.finish(pick),
            Step::Complete => self.complete(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn every_request_is_done_once_and_right(
        indirect in any::<bool>(),
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let without = if indirect { Features::NONE } else { feature::INDIRECT_DESC };
        let mut history = History {
            setup: start(ALL.without(without)),
            taken: Vec::new(),
            submitted: Vec::new(),
            device_order: Default::default(),
            finished: Default::default(),
        };
        for step in &steps {
            history.run(step);
        }
    }
}
