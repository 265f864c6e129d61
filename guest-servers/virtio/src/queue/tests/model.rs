//! Random histories against `virtio-queue`, compared with a model step by step.

use super::*;
use proptest::prelude::*;
use vm_memory::GuestMemoryMmap;

#[derive(Clone, Debug)]
enum Step {
    /// Add a chain with this many readable and writable buffers.
    Add {
        readable: usize,
        writable: usize,
    },
    Publish,
    /// The device takes the next chain.
    Take,
    /// The device finishes one of those it took.
    Finish {
        pick: usize,
        written: u32,
    },
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..4, 0usize..4).prop_map(|(readable, writable)| Step::Add { readable, writable }),
        2 => Just(Step::Publish),
        4 => Just(Step::Take),
        3 => (any::<usize>(), any::<u32>()).prop_map(|(pick, written)| Step::Finish { pick, written }),
        3 => Just(Step::Pop),
    ]
}

/// A descriptor as the device sees it: address, length, whether it may write.
type Seen = (u64, u32, bool);

struct Model {
    guest: Guest,
    queue: Queue<u32>,
    device: DeviceQueue,
    data: DmaMemory,
    next_token: u32,
    /// Added, in order, with what the device must see.
    added: VecDeque<(u32, Vec<Seen>)>,
    /// How many of those are published.
    visible: usize,
    /// Head, token, writable bytes.
    taken: Vec<(u16, u32, u32)>,
    /// Token and bytes written.
    finished: VecDeque<(u32, u32)>,
    free: u16,
    costs: Vec<u16>,
}

impl Model {
    fn new(layout: QueueLayout) -> Model {
        let mut guest = Guest::new();
        let (queue, device) = pair(&mut guest, layout);
        let data = guest.dma(1 << 16);
        let free = layout.size.get();
        let (added, finished) = (VecDeque::new(), VecDeque::new());
        let (taken, costs) = (Vec::new(), Vec::new());
        Model {
            guest,
            queue,
            device,
            data,
            next_token: 0,
            added,
            visible: 0,
            taken,
            finished,
            free,
            costs,
        }
    }

    fn run(&mut self, step: &Step, indirect: u16) {
        match *step {
            Step::Add { readable, writable } => self.add(readable, writable, indirect),
            Step::Publish => {
                let _ = self.queue.publish();
                self.visible = self.added.len();
            }
            Step::Take => self.take(),
            Step::Finish { pick, written } => self.finish(pick, written),
            Step::Pop => self.pop(),
        }
        assert_eq!(self.queue.free_descriptors(), self.free);
    }

    fn add(&mut self, readable: usize, writable: usize, indirect: u16) {
        let token = self.next_token;
        let buffer = |position: usize| {
            let offset = (token as usize * 7 + position * 101) % 60_000;
            let segment = self.data.segment(offset, 1 + (offset % 50) as u32);
            if position < readable {
                Buffer::readable(segment)
            } else {
                Buffer::writable(segment)
            }
        };
        let count = readable + writable;
        let chain: Vec<Buffer> = (0..count).map(buffer).collect();
        let cost = if count > 1 && count <= indirect.into() {
            1
        } else {
            count as u16
        };
        let expected = match count {
            0 => Err(RingError::Empty),
            _ if count > self.queue.size().get().into() => Err(RingError::ChainTooLong),
            _ if cost > self.free => Err(RingError::Full),
            _ => Ok(()),
        };
        assert_eq!(self.queue.add(&chain, token), expected);
        if expected.is_ok() {
            let seen = |buffer: &Buffer| {
                let Segment { .. } = buffer.segment;
                let writes = buffer.access == Access::DeviceWrites;
                (buffer.segment.address().0, buffer.segment.length(), writes)
            };
            self.added
                .push_back((token, chain.iter().map(seen).collect()));
            self.costs.push(cost);
            self.free -= cost;
            self.next_token += 1;
        }
    }

    fn take(&mut self) {
        let memory: &GuestMemoryMmap = &self.guest.memory;
        let chain = self.device.pop_descriptor_chain(memory);
        assert_eq!(chain.is_some(), self.visible > 0);
        if let Some(chain) = chain {
            let head = chain.head_index();
            let seen: Vec<Seen> = chain
                .map(|one| (one.addr().0, one.len(), one.is_write_only()))
                .collect();
            let (token, expected) = self.added.pop_front().unwrap();
            self.visible -= 1;
            assert_eq!(seen, expected);
            let writable = seen.iter().filter(|one| one.2).map(|one| one.1).sum();
            self.taken.push((head, token, writable));
        }
    }

    fn finish(&mut self, pick: usize, written: u32) {
        if !self.taken.is_empty() {
            let (head, token, writable) = self.taken.swap_remove(pick % self.taken.len());
            let written = written % (writable + 1);
            self.device
                .add_used(&self.guest.memory, head, written)
                .unwrap();
            self.finished.push_back((token, written));
        }
    }

    fn pop(&mut self) {
        let expected = self.finished.pop_front();
        let used = self.queue.pop().unwrap();
        assert_eq!(used.map(|used| (used.token, used.written)), expected);
        self.free += expected.map_or(0, |(token, _)| self.costs[token as usize]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn the_device_sees_what_was_added(
        size in prop::sample::select(&[1u16, 4, 8, 16][..]),
        shape in 0..SHAPES.len(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let (indirect, notifications) = SHAPES[shape];
        let mut model = Model::new(layout(size, indirect, notifications));
        for step in &steps {
            model.run(step, indirect);
        }
    }
}
