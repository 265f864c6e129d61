//! The buffers of a descriptor chain as two lists: what the driver wrote, what the device fills.
//!
//! Devices make no assumption about framing (specification, section 2.7.4.2): headers and status
//! bytes are cut from the lists wherever the descriptors' borders are.

use std::ops::Deref;

use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryError};

use crate::memory::Ram;

/// A piece of guest memory as the guest named it; not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Guest-physical address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
}

impl From<(u64, u32)> for Segment {
    fn from((address, length): (u64, u32)) -> Self {
        Self { address, length }
    }
}

/// A list of segments from whose ends bytes are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(Vec<Segment>);

impl Segments {
    /// Bytes in all segments together.
    pub fn length(&self) -> u64 {
        self.0.iter().map(|s| u64::from(s.length)).sum()
    }

    /// The segments left.
    pub fn as_slice(&self) -> &[Segment] {
        &self.0
    }

    /// Cuts off the first `count` bytes; `None` (and no change) if there are fewer.
    pub fn take_front(&mut self, count: u64) -> Option<Self> {
        if self.length() < count {
            return None;
        }
        let (mut taken, mut left) = (Vec::new(), count);
        let mut kept = Vec::with_capacity(self.0.len());
        for segment in &self.0 {
            let cut = u64::from(segment.length).min(left) as u32;
            left -= u64::from(cut);
            if cut > 0 {
                taken.push((segment.address, cut).into());
            }
            if cut < segment.length {
                let address = segment.address.wrapping_add(cut.into());
                kept.push((address, segment.length - cut).into());
            }
        }
        self.0 = kept;
        Some(Self(taken))
    }

    /// Cuts off the last `count` bytes; `None` (and no change) if there are fewer.
    pub fn take_back(&mut self, count: u64) -> Option<Self> {
        let front = self.length().checked_sub(count)?;
        let front = self.take_front(front)?;
        Some(std::mem::replace(self, front))
    }

    /// Reads the segments from RAM; `bytes` must have their length.
    pub fn read(&self, ram: &Ram, bytes: &mut [u8]) -> Result<(), GuestMemoryError> {
        let mut done = 0;
        for segment in &self.0 {
            let end = (done + segment.length as usize).min(bytes.len());
            ram.read_slice(&mut bytes[done..end], GuestAddress(segment.address))?;
            done = end;
        }
        Ok(())
    }

    /// Writes to RAM as much as both sides have; returns how many bytes.
    pub fn write(&self, ram: &Ram, bytes: &[u8]) -> Result<usize, GuestMemoryError> {
        let mut done = 0;
        for segment in &self.0 {
            let end = (done + segment.length as usize).min(bytes.len());
            ram.write_slice(&bytes[done..end], GuestAddress(segment.address))?;
            done = end;
        }
        Ok(done)
    }
}

impl FromIterator<Segment> for Segments {
    fn from_iter<T: IntoIterator<Item = Segment>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// The two halves of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// Written by the driver.
    pub readable: Segments,
    /// To be filled by the device.
    pub writable: Segments,
}

impl Buffers {
    /// Walks a chain. A readable buffer after a writable one belongs to no request: it is left out.
    pub fn of<M>(chain: DescriptorChain<M>) -> Self
    where
        M: Deref + Clone,
        M::Target: GuestMemory,
    {
        let mut buffers = Self::default();
        for descriptor in chain {
            let segment = Segment {
                address: descriptor.addr().0,
                length: descriptor.len(),
            };
            if descriptor.is_write_only() {
                buffers.writable.0.push(segment);
            } else if buffers.writable.0.is_empty() {
                buffers.readable.0.push(segment);
            }
        }
        buffers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(segments: &Segments) -> Vec<u64> {
        let each = segments
            .0
            .iter()
            .flat_map(|s| (0..u64::from(s.length)).map(|i| s.address + i));
        each.collect()
    }

    proptest! {
        #[test]
        fn cuts_keep_every_byte_in_order(lengths in prop::collection::vec(0u32..20, 0..8), cut in 0u64..80) {
            let all: Segments =
                lengths.iter().zip((0..).step_by(100)).map(|(&l, a)| Segment::from((a, l))).collect();
            let (mut front, mut back) = (all.clone(), all.clone());
            match front.take_front(cut) {
                Some(taken) => {
                    prop_assert_eq!(taken.length(), cut);
                    prop_assert_eq!([bytes_of(&taken), bytes_of(&front)].concat(), bytes_of(&all));
                }
                None => prop_assert!(all.length() < cut && front == all),
            }
            match back.take_back(cut) {
                Some(taken) => {
                    prop_assert_eq!(taken.length(), cut);
                    prop_assert_eq!([bytes_of(&back), bytes_of(&taken)].concat(), bytes_of(&all));
                }
                None => prop_assert!(all.length() < cut && back == all),
            }
        }
    }
}
