//! What a file has to hold.

use std::collections::BTreeMap;

use crate::sys::memory::PAGE;

/// The bytes of a file, and of pages written in a private mapping of it.
#[derive(Debug, Default)]
pub struct Model {
    bytes: Vec<u8>,
    /// Copies by page, as far as the file went when they were made.
    private: BTreeMap<usize, Vec<u8>>,
}

impl Model {
    /// The file's size.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes were written; the file grows as needed.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
    }

    /// A part inside the file became zeroes; private copies stay as they are.
    pub fn punch(&mut self, at: usize, length: usize) {
        let end = self.bytes.len().min(at + length);
        if at < end {
            self.bytes[at..end].fill(0);
        }
    }

    /// The size was set.
    pub fn truncate(&mut self, size: usize) {
        if size < self.bytes.len() {
            self.private.split_off(&size.div_ceil(PAGE));
        }
        self.bytes.resize(size, 0);
    }

    /// A byte range inside one page was written in the private mapping.
    pub fn write_private(&mut self, at: usize, bytes: &[u8]) {
        let page = at / PAGE;
        let copy = self.private.entry(page).or_insert_with(|| {
            let end = self.bytes.len().min((page + 1) * PAGE);
            self.bytes[page * PAGE..end].to_vec()
        });
        let within = at % PAGE;
        copy[within..within + bytes.len()].copy_from_slice(bytes);
    }

    /// How many bytes of a page the private copy has.
    pub fn private_length(&self, page: usize) -> Option<usize> {
        self.private.get(&page).map(Vec::len)
    }

    /// The pages with private copies.
    pub fn private_pages(&self) -> &BTreeMap<usize, Vec<u8>> {
        &self.private
    }

    /// The private mapping is gone.
    pub fn forget_private(&mut self) {
        self.private.clear();
    }
}
