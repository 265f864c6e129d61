//! KVM's binary statistics of a vCPU (`KVM_GET_STATS_FD`; kernel documentation,
//! `Documentation/virt/kvm/api.rst` section 4.133).
//!
//! The file holds a header, descriptors with names, and a block of 64-bit values. Descriptors never
//! change, so they are read once; a snapshot is one `pread`, and may be taken while the vCPU runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;

use kvm_ioctls::VcpuFd;

use crate::bytes::array_at;

/// `_IO(KVMIO, 0xce)`.
const KVM_GET_STATS_FD: libc::c_ulong = 0xaece;
const HEADER_SIZE: usize = 24;
const DESCRIPTOR_SIZE: usize = 16;
/// A name is at most this long (`KVM_STATS_NAME_SIZE` is 48).
const MAX_NAME: usize = 256;
const MAX_DESCRIPTORS: usize = 4096;

/// The statistics of one vCPU.
#[derive(Debug)]
pub struct VcpuStats {
    file: File,
    /// Name and index of its value in the data block, scalars only.
    counters: Vec<(String, usize)>,
    data_offset: u64,
    data_words: usize,
}

impl VcpuStats {
    /// Opens the statistics of a vCPU.
    pub fn open(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: the ioctl takes no argument and returns a new descriptor or an error.
        let fd = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_GET_STATS_FD, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just returned to us and nobody else owns it.
        Self::parse(unsafe { File::from_raw_fd(fd) })
    }

    /// Reads the header and the descriptors.
    fn parse(file: File) -> io::Result<Self> {
        let mut header = [0; HEADER_SIZE];
        file.read_exact_at(&mut header, 0)?;
        let [_, name_size, count, _, descriptors, data] =
            std::array::from_fn(|i| u32_at(&header, 4 * i) as usize);
        if name_size > MAX_NAME || count > MAX_DESCRIPTORS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; count * (DESCRIPTOR_SIZE + name_size)];
        file.read_exact_at(&mut bytes, descriptors as u64)?;
        let mut counters = Vec::with_capacity(count);
        let mut data_words = 0;
        for descriptor in bytes.chunks_exact(DESCRIPTOR_SIZE + name_size) {
            let items = u16::from_le_bytes([descriptor[6], descriptor[7]]);
            let index = u32_at(descriptor, 8) as usize / 8;
            if items == 1 {
                counters.push((name(&descriptor[DESCRIPTOR_SIZE..]), index));
                data_words = data_words.max(index + 1);
            }
        }
        Ok(Self {
            file,
            counters,
            data_offset: data as u64,
            data_words,
        })
    }

    /// All scalar counters by name.
    pub fn snapshot(&self) -> io::Result<BTreeMap<String, u64>> {
        let data = self.data()?;
        Ok(self
            .counters
            .iter()
            .map(|(name, index)| (name.clone(), data[*index]))
            .collect())
    }

    /// One counter; `None` if this KVM does not have it.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let (_, index) = self.counters.iter().find(|(n, _)| n == name)?;
        let mut word = [0; 8];
        self.file
            .read_exact_at(&mut word, self.data_offset + 8 * *index as u64)
            .ok()?;
        Some(u64::from_le_bytes(word))
    }

    fn data(&self) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; 8 * self.data_words];
        self.file.read_exact_at(&mut bytes, self.data_offset)?;
        let word = |chunk: &[u8]| u64::from_le_bytes(array_at(chunk, 0));
        Ok(bytes.chunks_exact(8).map(word).collect())
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn scalars_are_found_and_histograms_skipped() {
        let mut bytes = Vec::new();
        for word in [0u32, 8, 3, 24, 24, 96] {
            bytes.extend(word.to_le_bytes());
        }
        for (items, offset, name) in [
            (1u16, 0u32, b"exits\0\0\0"),
            (2, 8, b"histo\0\0\0"),
            (1, 24, b"insn\0\0\0\0"),
        ] {
            bytes.extend([0; 6]);
            bytes.extend(items.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(name);
        }
        for value in [5u64, 6, 7, 8] {
            bytes.extend(value.to_le_bytes());
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let stats = VcpuStats::parse(file).unwrap();
        assert_eq!(
            stats.snapshot().unwrap(),
            [("exits".into(), 5), ("insn".into(), 8)].into()
        );
        assert_eq!(stats.counter("insn"), Some(8));
        assert_eq!(stats.counter("histo"), None);
    }
}
