//! What a kernel tells debuggers of itself: where its processes and threads are, and how they are laid out.
//!
//! The kernel's ELF file has a symbol [`SYMBOL`]. There is an array of [`Entry`]s, up to one whose name is
//! empty: each gives a name a value. Whoever knows the names can walk the kernel's structures in a live
//! machine or a core file, whatever version of the kernel it is; no type information is needed. The readers
//! are `monitor threads` (`vmm/src/inspect/ferrix.rs`) and `scripts/gdb/ferrix.py`.
//!
//! | names | values |
//! |---|---|
//! | `version` | [`VERSION`] |
//! | `pids`, `cpus`, `cpu_count` | addresses: the processes by id, the CPUs' data, the number of CPUs (8 bytes) |
//! | `T.FIELD` | bytes from the start of a T to its field; T is `thread`, `process`, `ids`, `cpu`, `handles`, `place`, `queue`, `sched` |
//! | `T.size`, `queue.list_size`, `frame.size` | bytes of a T, of a list, of the user registers at the top of a kernel stack |
//! | `vec.pointer` | bytes from the start of a `Vec` to its pointer; of the two other words the smaller is its length |
//! | `ids.count`, `queue.places`, `queue.ring…`, `queue.lowest` | numbers: how many ids and lists; the lists of priorities that age, and the lowest of these |
//! | `state.NAME`, `life.NAME`, `object.NAME` | the byte that means this |

/// The symbol's name.
pub const SYMBOL: &str = "FERRIX_DEBUG";
/// Changes when a name changes its meaning.
pub const VERSION: u64 = 1;
/// Most bytes of a name; shorter ones are filled up with zeros.
pub const NAME_LENGTH: usize = 24;
/// Bytes of an [`Entry`].
pub const ENTRY_SIZE: usize = 32;

/// A name and its value, of 8 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry<V> {
    /// The name.
    pub name: [u8; NAME_LENGTH],
    /// The value.
    pub value: V,
}

const _: () = assert!(size_of::<Entry<u64>>() == ENTRY_SIZE);
