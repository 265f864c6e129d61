//! Pages back to the kernel when memory is short: a clock over the pages of all mapped files.
//!
//! Its hand goes from group to group. Pages that programs have touched since it came by last stay; of the others
//! those that were written go to the block cache, and then all go. The second round finds those that were only
//! touched before the first.

use super::writeback::{note_written, write_pages};
use super::{File, Live, Purpose};
use crate::disk::Disk;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_ext2::Ext2;
use ferrix_rt::log;
use ferrix_rt::service::Errno;
use ferrix_rt::sys::memory;
use ferrix_rt::views::Views;

/// Pages that the hand looks at together: as many as a word has bits.
const GROUP: u64 = 64;

/// Where the clock's hand stands: a file, and the first page not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hand {
    index: usize,
    page: u64,
}

/// A group of pages of one file, and which of them are present.
struct Group {
    index: usize,
    first: u64,
    present: u64,
}

impl Live {
    /// Gives back at least `wanted` pages, if there are as many that can go; how many went.
    pub fn reclaim(&mut self, wanted: u64, mounts: &mut [Option<Ext2<Disk>>]) -> u64 {
        let all: usize = self
            .files
            .iter()
            .flatten()
            .map(|file| file.present.len())
            .sum();
        let (mut looked, mut given) = (0, 0);
        while given < wanted && looked < 2 * all as u64 {
            let Some(group) = self.next_group() else {
                break;
            };
            looked += u64::from(group.present.count_ones());
            let Some((file, views)) = self.file(group.index) else {
                break;
            };
            let Some(Some(mounted)) = mounts.get_mut(file.mount) else {
                continue;
            };
            match sweep(file, views, mounted, &group) {
                Ok(pages) => given += pages,
                Err(errno) => log!(
                    "ext2",
                    "taking back pages of inode {}: errno {errno}",
                    file.ino.0
                ),
            }
        }
        given
    }

    /// The same when the kernel has asked, and threads may be waiting.
    pub fn reclaim_urgently(&mut self, wanted: u64, mounts: &mut [Option<Ext2<Disk>>]) -> u64 {
        match self.reclaim(wanted, mounts) {
            0 => self.give_up(mounts),
            given => given,
        }
    }

    /// Moves the hand over the next group that has pages.
    fn next_group(&mut self) -> Option<Group> {
        let count = self.files.len();
        // The file under the hand twice: behind it, and from its start.
        for _ in 0..=count {
            let Hand { index, page } = self.hand;
            let file = self.files.get(index).and_then(Option::as_ref);
            let next = file.and_then(|file| file.present.range(page..).next().copied());
            if let (Some(file), Some(next)) = (file, next) {
                let first = next - next % GROUP;
                self.hand.page = first + GROUP;
                let bits = file.present.range(first..first + GROUP);
                let present = bits.fold(0, |bits, page| bits | 1 << (page - first));
                return Some(Group {
                    index,
                    first,
                    present,
                });
            }
            self.hand = Hand {
                index: if index + 1 < count { index + 1 } else { 0 },
                page: 0,
            };
        }
        None
    }
}

/// Takes back those pages of a group that were not touched lately; how many.
fn sweep(
    file: &mut File,
    views: &mut Views,
    mounted: &mut Ext2<Disk>,
    group: &Group,
) -> Result<u64, Errno> {
    let end = file.size.div_ceil(PAGE_SIZE).min(group.first + GROUP);
    let (first, count) = (group.first, end - group.first);
    let mut touched = [0];
    memory::referenced(file.object, first, count, &mut touched)?;
    let mut idle = group.present & !touched[0];
    if idle == 0 {
        return Ok(0);
    }
    if file.purpose == Purpose::Write {
        note_written(file, first..end)?;
        let written = write_pages(file, views, mounted, first..end);
        let kept = file.unwritten.range(first..end);
        idle = kept.fold(idle, |idle, page| idle & !(1 << (page - first)));
        if idle == 0 {
            return written.map(|()| 0);
        }
    }
    let mut given = 0;
    while idle != 0 {
        let skip = idle.trailing_zeros();
        let run = (idle >> skip).trailing_ones();
        let (start, mut taken) = (first + u64::from(skip), [0u64]);
        given += memory::object_reclaim(file.object, start, run.into(), &mut taken)?;
        idle &= !((u64::MAX >> (64 - run)) << skip);
        while taken[0] != 0 {
            file.present
                .remove(&(start + u64::from(taken[0].trailing_zeros())));
            taken[0] &= taken[0] - 1;
        }
    }
    Ok(given)
}
