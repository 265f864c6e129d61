//! What a hostile driver does, as bytes: every sequence of bytes means some operations, and seeds are written
//! with the same code that reads them.

/// A guest-physical address, so that small changes of the bytes give addresses of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the rings.
    Rings(u16),
    /// In the memory that requests use.
    Data(u16),
    /// So many bytes before the end of RAM.
    End(u16),
    /// Anywhere.
    Any(u64),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes guest RAM.
    Fill(Place, Vec<u8>),
    /// Writes a descriptor of a queue's table.
    Describe(u8, Descriptor),
    /// Makes a chain available.
    Offer(u8, u16),
    /// Sets `avail.idx`.
    Jump(u8, u16),
    /// Writes a register: offset in the window, bytes of the access, value.
    Write(u16, u8, u64),
    /// Reads a register: offset in the window, bytes of the access.
    Read(u16, u8),
    /// Lets the device's back work.
    Serve,
    /// Bytes come from the host, for a console.
    Type(Vec<u8>),
    /// Resets the device and sets it up again, with these features and ring size.
    Restart(u64, u16),
}

/// A descriptor of a split ring (virtio 1.2, 2.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its place in the table.
    pub index: u8,
    /// Where its buffer is.
    pub place: Place,
    /// Bytes.
    pub length: u32,
    /// `NEXT` 1, `WRITE` 2, `INDIRECT` 4.
    pub flags: u16,
    /// The next one in the chain.
    pub next: u16,
}

/// Bytes that are read as operations.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(pub &'a [u8]);

impl<'a> Source<'a> {
    /// The next `count` bytes, or what is left of them.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The next bytes; none if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let count = self.u8()?;
        Some(self.take(count.into()).to_vec())
    }
}

impl Place {
    fn read(source: &mut Source<'_>) -> Option<Self> {
        Some(match source.u8()? % 4 {
            0 => Self::Rings(source.u16()?),
            1 => Self::Data(source.u16()?),
            2 => Self::End(source.u16()?),
            _ => Self::Any(source.u64()?),
        })
    }

    fn write(self, bytes: &mut Vec<u8>) {
        let (tag, offset) = match self {
            Self::Rings(offset) => (0, offset),
            Self::Data(offset) => (1, offset),
            Self::End(offset) => (2, offset),
            Self::Any(address) => {
                bytes.push(3);
                return bytes.extend(address.to_le_bytes());
            }
        };
        bytes.push(tag);
        bytes.extend(offset.to_le_bytes());
    }
}

impl Descriptor {
    fn read(source: &mut Source<'_>) -> Option<Self> {
        Some(Self {
            index: source.u8()?,
            place: Place::read(source)?,
            length: source.u32()?,
            flags: source.u16()?,
            next: source.u16()?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.index);
        self.place.write(bytes);
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.next.to_le_bytes());
    }
}

impl Op {
    /// The next operation; none at the end.
    pub fn read(source: &mut Source<'_>) -> Option<Self> {
        Some(match source.u8()? % 9 {
            0 => Self::Fill(Place::read(source)?, source.bytes()?),
            1 => Self::Describe(source.u8()?, Descriptor::read(source)?),
            2 => Self::Offer(source.u8()?, source.u16()?),
            3 => Self::Jump(source.u8()?, source.u16()?),
            4 => Self::Write(source.u16()?, source.u8()?, source.u64()?),
            5 => Self::Read(source.u16()?, source.u8()?),
            6 => Self::Serve,
            7 => Self::Type(source.bytes()?),
            _ => Self::Restart(source.u64()?, source.u16()?),
        })
    }

    /// Appends what [`Self::read`] reads. Bytes beyond 255 of a text are left out.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let text = |bytes: &mut Vec<u8>, text: &[u8]| {
            let text = &text[..text.len().min(255)];
            bytes.push(text.len() as u8);
            bytes.extend(text);
        };
        let half = |bytes: &mut Vec<u8>, tag: u8, queue: u8, half: u16| {
            bytes.extend([tag, queue]);
            bytes.extend(half.to_le_bytes());
        };
        match self {
            Self::Fill(place, content) => {
                bytes.push(0);
                place.write(bytes);
                text(bytes, content);
            }
            Self::Describe(queue, descriptor) => {
                bytes.extend([1, *queue]);
                descriptor.write(bytes);
            }
            Self::Offer(queue, head) => half(bytes, 2, *queue, *head),
            Self::Jump(queue, index) => half(bytes, 3, *queue, *index),
            Self::Write(offset, width, value) => {
                bytes.push(4);
                bytes.extend(offset.to_le_bytes());
                bytes.push(*width);
                bytes.extend(value.to_le_bytes());
            }
            Self::Read(offset, width) => {
                bytes.push(5);
                bytes.extend(offset.to_le_bytes());
                bytes.push(*width);
            }
            Self::Serve => bytes.push(6),
            Self::Type(content) => {
                bytes.push(7);
                text(bytes, content);
            }
            Self::Restart(features, size) => {
                bytes.push(8);
                bytes.extend(features.to_le_bytes());
                bytes.extend(size.to_le_bytes());
            }
        }
    }
}

/// Operations as bytes.
pub fn encode(ops: &[Op]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ops.iter().for_each(|op| op.write(&mut bytes));
    bytes
}
