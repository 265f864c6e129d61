//! Resource limits as the personality keeps them: a copy of the kernel's, for those that are looked at often.

pub use ferrix_abi::limit::{INFINITY, Limit};

use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::limit::{DEFAULTS, FILES_MAX, RESOURCES};
use linux_raw_sys::general as linux;

/// Bytes of a main thread's stack that are mapped at once, if its limit allows it.
const STACK_FIRST: u64 = 640 << 10;
/// Less than this nothing can begin with.
const STACK_LEAST: u64 = 64 << 10;

/// The limits of a process; nothing is known of them at first.
#[derive(Debug)]
pub struct Limits(Option<[Limit; RESOURCES]>);

impl Limits {
    /// Nothing is known.
    pub const fn new() -> Limits {
        Limits(None)
    }

    /// Whether they have been [learnt](Self::learn).
    pub const fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// What the kernel says.
    pub fn learn(&mut self, limits: &[Limit; RESOURCES]) {
        self.0 = Some(*limits);
    }

    /// One of them has been set.
    pub fn set(&mut self, resource: u32, limit: Limit) {
        if let Some(place) = self
            .0
            .as_mut()
            .and_then(|limits| limits.get_mut(resource as usize))
        {
            *place = limit;
        }
    }

    /// What holds for a resource.
    pub fn soft(&self, resource: u32) -> u64 {
        let limits = self.0.as_ref().unwrap_or(&DEFAULTS);
        limits
            .get(resource as usize)
            .map_or(INFINITY, |limit| limit.soft)
    }

    /// One past the highest descriptor.
    pub fn descriptors(&self) -> u64 {
        self.soft(linux::RLIMIT_NOFILE).min(FILES_MAX)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}

/// Bytes of a new program's stack that are mapped at once; it grows to its limit.
pub fn first_stack(limit: u64) -> u64 {
    let most = limit.clamp(STACK_LEAST, STACK_FIRST);
    most.next_multiple_of(PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_and_set_holds() {
        let mut limits = Limits::new();
        assert!(!limits.are_known());
        limits.set(linux::RLIMIT_NOFILE, Limit::both(3));
        assert_eq!(limits.descriptors(), FILES_MAX, "nothing to change yet");
        let mut kernel = DEFAULTS;
        kernel[linux::RLIMIT_FSIZE as usize].soft = 10;
        limits.learn(&kernel);
        assert!(limits.are_known());
        assert_eq!(limits.soft(linux::RLIMIT_FSIZE), 10);
        limits.set(linux::RLIMIT_NOFILE, Limit { soft: 16, hard: 32 });
        assert_eq!(limits.descriptors(), 16);
        limits.set(99, Limit::both(1));
        assert_eq!(limits.soft(99), INFINITY);
    }

    #[test]
    fn a_stack_begins_within_its_limit() {
        assert_eq!(first_stack(INFINITY), STACK_FIRST);
        assert_eq!(first_stack(100 << 10), 100 << 10);
        assert_eq!(first_stack((100 << 10) + 1), (100 << 10) + PAGE_SIZE);
        assert_eq!(first_stack(0), STACK_LEAST);
    }
}
