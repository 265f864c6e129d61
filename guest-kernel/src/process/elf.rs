//! The little of ELF that starting init takes: its loadable segments.

use arrayvec::ArrayVec;

/// Most segments of init.
pub const SEGMENTS_MAX: usize = 8;
/// Bytes of the file that [`parse`] looks at.
pub const HEAD: usize = 1024;

/// A loadable segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Address.
    pub address: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether it may be written.
    pub writable: bool,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its first instruction.
    pub entry: u64,
    /// Its segments.
    pub segments: ArrayVec<Segment, SEGMENTS_MAX>,
}

fn u16_at(head: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(head: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?))
}

/// Reads the headers of a static x86-64 program from the start of its file.
pub fn parse(head: &[u8]) -> Option<Image> {
    const EM_X86_64: u16 = 62;
    const PT_LOAD: u32 = 1;
    let is_elf = head.starts_with(b"\x7fELF\x02\x01");
    if !is_elf || u16_at(head, 18)? != EM_X86_64 {
        return None;
    }
    let (table, size, count) = (u64_at(head, 32)?, u16_at(head, 54)?, u16_at(head, 56)?);
    let mut segments = ArrayVec::new();
    for index in 0..count as usize {
        let at = usize::try_from(table)
            .ok()?
            .checked_add(index * size as usize)?;
        if u32_at(head, at)? != PT_LOAD {
            continue;
        }
        let flags = u32_at(head, at + 4)?;
        let segment = Segment {
            offset: u64_at(head, at + 8)?,
            address: u64_at(head, at + 16)?,
            file_size: u64_at(head, at + 32)?,
            memory_size: u64_at(head, at + 40)?,
            executable: flags & 1 != 0,
            writable: flags & 2 != 0,
        };
        segments.try_push(segment).ok()?;
    }
    Some(Image {
        entry: u64_at(head, 24)?,
        segments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = 62;
        head[24..32].copy_from_slice(&0x40_1000u64.to_le_bytes());
        head[32] = 64;
        head[54] = 56;
        head[56] = 2;
        head[64] = 1;
        head[68] = 5;
        head[80..88].copy_from_slice(&0x40_0000u64.to_le_bytes());
        head[96..104].copy_from_slice(&0x1234u64.to_le_bytes());
        head[104..112].copy_from_slice(&0x1234u64.to_le_bytes());
        head[120] = 4;
        head
    }

    #[test]
    fn loadable_segments_are_found() {
        let image = parse(&program()).unwrap();
        assert_eq!(image.entry, 0x40_1000);
        let text = Segment {
            address: 0x40_0000,
            file_size: 0x1234,
            memory_size: 0x1234,
            executable: true,
            ..Segment::default()
        };
        assert_eq!(image.segments.as_slice(), [text]);
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused() {
        let whole = program();
        assert!((0..120).all(|length| parse(&whole[..length]).is_none()));
        let mut other = whole;
        other[18] = 3;
        assert!(parse(&other).is_none());
    }
}
