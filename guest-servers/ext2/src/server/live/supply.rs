//! Pages for those who touch them.

use super::{File, Live, errno};
use crate::disk::Disk;
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_ext2::Ext2;
use ferrix_rt::log;
use ferrix_rt::pager::Staging;
use ferrix_rt::service::Errno;
use ferrix_rt::sys::{memory, system};

/// Pages supplied at once.
const SUPPLY: u64 = 16;
/// The same for who jumps about, when memory is short.
const SUPPLY_FEW: u64 = 2;
/// Supplying keeps so many pages free: more than the kernel wants to be free when it gives no notice.
const KEEP_FREE: u64 = 1400;
/// So many pages are taken back at once.
const BATCH: u64 = 256;

/// Where pages to be supplied are filled.
pub struct Supplier {
    staging: Option<Staging>,
    /// Pages that may be supplied before it is looked how many are free.
    budget: u64,
    /// Whether memory was short when that was done last.
    is_short: bool,
}

impl Supplier {
    pub const fn new() -> Supplier {
        Supplier {
            staging: None,
            budget: 0,
            is_short: false,
        }
    }

    /// Reads pages of a file and moves them into its object.
    fn supply(
        &mut self,
        file: &mut File,
        page: u64,
        count: u64,
        mounted: &mut Ext2<Disk>,
    ) -> Result<(), Errno> {
        let few = self.is_short && page != file.next;
        let end = file.size.div_ceil(PAGE_SIZE);
        let count = count
            .min(if few { SUPPLY_FEW } else { SUPPLY })
            .min(end.saturating_sub(page))
            .max(1);
        let staging = match &mut self.staging {
            Some(staging) => staging,
            None => self.staging.insert(Staging::new(SUPPLY)?),
        };
        let bytes = &mut staging.bytes()[..(count * PAGE_SIZE) as usize];
        let read = mounted
            .read(file.ino, page * PAGE_SIZE, bytes)
            .map_err(errno)?;
        bytes[read..].fill(0);
        staging.supply(file.object, page, count)?;
        file.present.extend(page..page + count);
        file.next = page + count;
        self.budget = self.budget.saturating_sub(count);
        Ok(())
    }
}

impl Live {
    /// Supplies pages that somebody waits for; what cannot be read is SIGBUS.
    pub fn supply(&mut self, badge: u32, page: u64, count: u64, mounts: &mut [Option<Ext2<Disk>>]) {
        self.make_room(mounts);
        let Some(Some(file)) = self.files.get_mut(badge as usize - 1) else {
            return;
        };
        let Some(Some(mounted)) = mounts.get_mut(file.mount) else {
            return;
        };
        let count = count.clamp(1, SUPPLY);
        if self.supplier.supply(file, page, count, mounted).is_ok() {
            return;
        }
        // One bad block makes no more than its own page unreadable.
        if let Err(errno) = self.supplier.supply(file, page, 1, mounted) {
            log!("ext2", "inode {}, page {page}: errno {errno}", file.ino.0);
            let _ = memory::fail(file.object, page, 1);
        }
    }

    /// Takes pages back if supplying has made memory short.
    fn make_room(&mut self, mounts: &mut [Option<Ext2<Disk>>]) {
        if self.supplier.budget >= SUPPLY {
            return;
        }
        // A kernel that cannot tell would have no memory for the call either.
        let free = system::statistics().map_or(0, |statistics| statistics.free_pages);
        let room = free.saturating_sub(KEEP_FREE);
        self.supplier.is_short = room < BATCH;
        self.supplier.budget = match room {
            0..BATCH => self.reclaim(BATCH, mounts),
            _ => room / 2,
        };
    }
}
