//! Linux's structures of sockets: addresses, messages and what comes with them.

use crate::errno::{Errno, Result};
use ferrix_proto::socket::PATH_MAX;

/// `sun_family`.
pub const FAMILY: usize = 2;
/// Bytes of the longest address.
pub const ADDRESS_MAX: usize = FAMILY + PATH_MAX;
/// Bytes of a control message's head.
pub const CONTROL_HEAD: u64 = 16;

/// `struct msghdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MessageHead {
    /// `msg_name`.
    pub name: u64,
    /// `msg_namelen`.
    pub name_length: u32,
    /// Keeps the layout.
    pub padding: u32,
    /// `msg_iov`.
    pub vectors: u64,
    /// `msg_iovlen`.
    pub vector_count: u64,
    /// `msg_control`.
    pub control: u64,
    /// `msg_controllen`.
    pub control_length: u64,
    /// `msg_flags`.
    pub flags: u32,
    /// Keeps the size.
    pub end: u32,
}

/// `struct mmsghdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ManyHead {
    /// The message.
    pub head: MessageHead,
    /// `msg_len`.
    pub length: u32,
    /// Keeps the size.
    pub end: u32,
}

/// `struct cmsghdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ControlHead {
    /// `cmsg_len`, this head included.
    pub length: u64,
    /// `cmsg_level`.
    pub level: u32,
    /// `cmsg_type`.
    pub kind: u32,
}

const _: () = assert!(size_of::<MessageHead>() == 56 && size_of::<ManyHead>() == 64);

/// What an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// Nothing: the system chooses.
    Unnamed,
    /// An abstract name: all bytes, the NUL in front included.
    Abstract(&'a [u8]),
    /// A path, without a NUL.
    Path(&'a [u8]),
}

/// Reads `struct sockaddr_un` of so many bytes.
///
/// # Errors
/// `EINVAL`: another family, or no length of one.
pub fn address(bytes: &[u8]) -> Result<Address<'_>> {
    let (family, path) = bytes.split_first_chunk::<FAMILY>().ok_or(Errno::EINVAL)?;
    if u16::from_le_bytes(*family) != 1 || path.len() > PATH_MAX {
        return Err(Errno::EINVAL);
    }
    Ok(match path {
        [] => Address::Unnamed,
        [0, ..] => Address::Abstract(path),
        _ => {
            let end = path.iter().position(|&byte| byte == 0);
            Address::Path(&path[..end.unwrap_or(path.len())])
        }
    })
}

/// `struct sockaddr_un` for a `sun_path`; its bytes and length.
pub fn address_bytes(path: &[u8]) -> ([u8; ADDRESS_MAX], usize) {
    let mut bytes = [0; ADDRESS_MAX];
    let length = path.len().min(PATH_MAX);
    bytes[0] = 1;
    bytes[FAMILY..FAMILY + length].copy_from_slice(&path[..length]);
    (bytes, FAMILY + length)
}

/// Bytes that a control message with so much data takes, the space up to the next included.
pub const fn control_space(data: u64) -> u64 {
    (CONTROL_HEAD + data).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert_eq!(address(&[1, 0]), Ok(Address::Unnamed));
        assert_eq!(address(b"\x01\0\0ab"), Ok(Address::Abstract(b"\0ab")));
        assert_eq!(address(b"\x01\0/x\0junk"), Ok(Address::Path(b"/x")));
        assert_eq!(address(b"\x01\0/x"), Ok(Address::Path(b"/x")));
        assert_eq!(address(&[1]), Err(Errno::EINVAL));
        assert_eq!(address(&[2, 0, 1]), Err(Errno::EINVAL));
        assert_eq!(address(&[1; 111]), Err(Errno::EINVAL));
        let mut longest = [1; 110];
        longest[1] = 0;
        assert_eq!(address(&longest), Ok(Address::Path(&[1; 108])));
    }

    #[test]
    fn addresses_go_back_as_they_came() {
        let (bytes, length) = address_bytes(b"\0ab");
        assert_eq!(address(&bytes[..length]), Ok(Address::Abstract(b"\0ab")));
        assert_eq!(address_bytes(b"").1, 2);
        assert_eq!(control_space(12), 32);
        assert_eq!(control_space(8), 24);
    }
}
