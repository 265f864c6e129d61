//! What host and machine say to each other over the control port of `scripts/hardware-kvm`.
//!
//! A message is a tag byte, the payload's length (u32, little-endian) and the payload. The host sends
//! the parts of a request and then [`Message::Start`]; the machine answers [`Message::Ready`] when it
//! is up, [`Message::Alive`] all the while, and [`Message::Ended`] at the end. Standard input, output and error
//! have ports of their own.

#![forbid(unsafe_code)]

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::time::Duration;

/// Names of the machine's four virtio-serial ports.
pub const PORTS: [&str; 4] = ["control", "input", "output", "error"];

/// How often a machine that runs a command says [`Message::Alive`].
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// One message; which side sends it is said at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Machine: the ports are connected, the host may send input.
    Ready,
    /// Host: the next argument of the command; the first is the program.
    Argument(Vec<u8>),
    /// Host: one `NAME=VALUE` of the command's environment.
    Environment(Vec<u8>),
    /// Host: the command's current folder.
    Folder(Vec<u8>),
    /// Host: the time, in nanoseconds since 1970.
    Clock(u64),
    /// Host: run the command on a terminal of this size; after `Start`: its new size.
    Terminal(Size),
    /// Host: standard error stays apart from the terminal.
    ErrorApart,
    /// Host: the request is complete.
    Start,
    /// Machine: it runs.
    Alive,
    /// Machine: the command's status, and how many bytes it wrote to standard output and error.
    Ended {
        /// 128 + N if signal N killed it.
        status: u8,
        /// Bytes sent to the port `output`.
        output: u64,
        /// Bytes sent to the port `error`.
        error: u64,
    },
    /// Machine: the command could not be run, or the machine could not be set up, and why.
    Failed(String),
}

/// More is no message of ours: the port is out of step.
const MAX_PAYLOAD: u32 = 1 << 24;

impl Message {
    /// Writes the message whole.
    pub fn write(&self, port: &mut impl Write) -> Result<()> {
        let (tag, payload) = self.encode();
        let mut bytes = vec![tag];
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        port.write_all(&bytes)
    }

    /// Reads the next message; `UnexpectedEof` when the other side is gone.
    pub fn read(port: &mut impl Read) -> Result<Self> {
        let mut head = [0; 5];
        port.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        if length > MAX_PAYLOAD {
            return Err(malformed());
        }
        let mut payload = vec![0; length as usize];
        port.read_exact(&mut payload)?;
        Self::decode(head[0], payload).ok_or_else(malformed)
    }

    fn encode(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Ready => (b'R', vec![]),
            Self::Argument(text) => (b'A', text.clone()),
            Self::Environment(text) => (b'E', text.clone()),
            Self::Folder(text) => (b'D', text.clone()),
            Self::Clock(time) => (b'C', time.to_le_bytes().to_vec()),
            Self::Terminal(size) => {
                let (rows, columns) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
                (b'T', [rows, columns].concat())
            }
            Self::ErrorApart => (b'2', vec![]),
            Self::Start => (b'S', vec![]),
            Self::Alive => (b'L', vec![]),
            Self::Ended {
                status,
                output,
                error,
            } => {
                let counts = [output.to_le_bytes(), error.to_le_bytes()].concat();
                (b'X', [vec![*status], counts].concat())
            }
            Self::Failed(text) => (b'F', text.clone().into_bytes()),
        }
    }

    fn decode(tag: u8, payload: Vec<u8>) -> Option<Self> {
        let u16_at = |at: usize| {
            Some(u16::from_le_bytes(
                payload.get(at..at + 2)?.try_into().ok()?,
            ))
        };
        let u64_at = |at: usize| {
            Some(u64::from_le_bytes(
                payload.get(at..at + 8)?.try_into().ok()?,
            ))
        };
        Some(match tag {
            b'R' => Self::Ready,
            b'A' => Self::Argument(payload),
            b'E' => Self::Environment(payload),
            b'D' => Self::Folder(payload),
            b'C' => Self::Clock(u64_at(0)?),
            b'T' => Self::Terminal(Size {
                rows: u16_at(0)?,
                columns: u16_at(2)?,
            }),
            b'2' => Self::ErrorApart,
            b'S' => Self::Start,
            b'L' => Self::Alive,
            b'X' => Self::Ended {
                status: *payload.first()?,
                output: u64_at(1)?,
                error: u64_at(9)?,
            },
            b'F' => Self::Failed(String::from_utf8_lossy(&payload).into_owned()),
            _ => return None,
        })
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::InvalidData, "the control port is out of step")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let messages = [
            Message::Ready,
            Message::Argument(b"a b\n\xff".to_vec()),
            Message::Environment(b"PATH=/bin".to_vec()),
            Message::Folder(b"/".to_vec()),
            Message::Clock(u64::MAX - 5),
            Message::Terminal(Size {
                rows: 24,
                columns: 300,
            }),
            Message::ErrorApart,
            Message::Start,
            Message::Alive,
            Message::Ended {
                status: 137,
                output: 10 << 30,
                error: 1,
            },
            Message::Failed("no such file".into()),
        ];
        let mut port = Vec::new();
        for message in &messages {
            message.write(&mut port).unwrap();
        }
        let mut port = port.as_slice();
        for message in &messages {
            assert_eq!(&Message::read(&mut port).unwrap(), message);
        }
        assert_eq!(
            Message::read(&mut port).unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn refuses_what_is_no_message() {
        for bytes in [
            &b"?\0\0\0\0"[..],
            b"C\x07\0\0\0abcdefg",
            b"A\xff\xff\xff\xff",
            b"T\x02\0\0\0ab",
        ] {
            let error = Message::read(&mut &bytes[..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{bytes:?}");
        }
    }
}
