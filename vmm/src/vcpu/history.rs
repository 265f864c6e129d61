//! The last exits of a vCPU, for the report of its guest's death.

use std::collections::VecDeque;
use std::fmt;

use kvm_ioctls::{Error, VcpuExit};

use super::Exit;

use crate::sync::Mutex;

/// Exits remembered.
const LENGTH: usize = 16;
/// Bytes of an access that are remembered.
const BYTES: usize = 8;

/// One exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Why.
    pub exit: Exit,
    /// The port or the address, if it was an access.
    pub place: Option<u64>,
    /// How many bytes were accessed.
    pub length: usize,
    /// What was written, as far as it is remembered; nothing is known of what is read.
    written: [u8; BYTES],
}

impl Record {
    /// Notes what `KVM_RUN` returned, before it is served.
    pub fn of(result: &Result<VcpuExit<'_>, Error>) -> Self {
        let (place, data, is_write) = match result {
            Ok(VcpuExit::IoOut(port, data)) => (Some((*port).into()), *data, true),
            Ok(VcpuExit::MmioWrite(address, data)) => (Some(*address), *data, true),
            Ok(VcpuExit::IoIn(port, data)) => (Some((*port).into()), &**data, false),
            Ok(VcpuExit::MmioRead(address, data)) => (Some(*address), &**data, false),
            _ => (None, &[][..], false),
        };
        let mut written = [0; BYTES];
        if is_write {
            let kept = data.len().min(BYTES);
            written[..kept].copy_from_slice(&data[..kept]);
        }
        Self {
            exit: Exit::of(result),
            place,
            length: data.len(),
            written,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.exit.name())?;
        let Some(place) = self.place else {
            return Ok(());
        };
        write!(f, " {place:#x}, {} bytes", self.length)?;
        match self.exit {
            Exit::IoOut | Exit::MmioWrite => write!(f, ": {:#x}", u64::from_le_bytes(self.written)),
            _ => Ok(()),
        }
    }
}

/// The last exits, and how often each came in a row.
#[derive(Debug, Default)]
pub struct History(Mutex<VecDeque<(Record, u64)>>);

impl History {
    /// Adds an exit.
    pub fn note(&self, record: Record) {
        let mut records = self.0.lock();
        match records.back_mut() {
            Some((last, times)) if *last == record => *times += 1,
            _ => {
                if records.len() == LENGTH {
                    records.pop_front();
                }
                records.push_back((record, 1));
            }
        }
    }

    /// A line an exit, the last one last.
    pub fn lines(&self) -> Vec<String> {
        let records = self.0.lock();
        let line = |(record, times): &(Record, u64)| match times {
            1 => record.to_string(),
            times => format!("{record} ({times} times)"),
        };
        records.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sixteen_are_kept_and_repetitions_counted() {
        let history = History::default();
        for port in 0..20u16 {
            history.note(Record::of(&Ok(VcpuExit::IoOut(port, &[1, 2]))));
        }
        for _ in 0..3 {
            history.note(Record::of(&Ok(VcpuExit::MmioRead(
                0xd000_0000,
                &mut [7; 4],
            ))));
        }
        history.note(Record::of(&Ok(VcpuExit::Shutdown)));
        let lines = history.lines();
        assert_eq!(lines.len(), LENGTH);
        assert_eq!(lines[0], "io_out 0x6, 2 bytes: 0x201");
        assert_eq!(
            lines[14..],
            ["mmio_read 0xd0000000, 4 bytes (3 times)", "shutdown"]
        );
    }
}
