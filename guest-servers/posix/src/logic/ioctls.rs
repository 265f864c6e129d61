//! Which argument an `ioctl` request has: what has to be fetched before and stored after.

use linux_raw_sys::ioctl as linux;

/// Size of the kernel's `struct termios`, in bytes.
const TERMIOS: usize = 36;
/// Most bytes of a structure.
pub const ARGUMENT_MAX: usize = 256;

/// The third argument of `ioctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Integer,
    /// Points to a structure of so many bytes that is read.
    In(usize),
    /// Points to a structure that is written.
    Out(usize),
    /// Both.
    InOut(usize),
}

/// The argument of a request.
pub fn argument(request: u32) -> Argument {
    match request {
        linux::TCGETS => Argument::Out(TERMIOS),
        linux::TCSETS | linux::TCSETSW | linux::TCSETSF => Argument::In(TERMIOS),
        linux::TIOCGWINSZ => Argument::Out(8),
        linux::TIOCSWINSZ => Argument::In(8),
        linux::TIOCGPGRP
        | linux::TIOCGSID
        | linux::FIONREAD
        | linux::TIOCOUTQ
        | linux::TIOCGETD => Argument::Out(4),
        linux::TIOCSPGRP | linux::FIONBIO | linux::TIOCSETD => Argument::In(4),
        linux::BLKGETSIZE => Argument::Out(8),
        linux::BLKROGET | linux::BLKSSZGET => Argument::Out(4),
        linux::BLKBSZGET => Argument::Out(8),
        _ => by_encoding(request),
    }
}

/// Newer requests say it themselves: direction in bits 30–31, size in 16–29.
fn by_encoding(request: u32) -> Argument {
    let size = (request >> 16 & 0x3fff) as usize;
    match request >> 30 {
        _ if size == 0 || size > ARGUMENT_MAX => Argument::Integer,
        1 => Argument::In(size),
        2 => Argument::Out(size),
        3 => Argument::InOut(size),
        _ => Argument::Integer,
    }
}

/// Whether the request is for terminals only.
pub fn is_terminal(request: u32) -> bool {
    request >> 8 == u32::from(b'T') && request != linux::FIONREAD && request < linux::FIONCLEX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_by_table_and_by_encoding() {
        assert_eq!(argument(linux::TCGETS), Argument::Out(36));
        assert_eq!(argument(linux::BLKGETSIZE64), Argument::Out(8));
        assert_eq!(argument(linux::TCFLSH), Argument::Integer);
        assert_eq!(argument(0xffff_0000), Argument::Integer);
    }

    #[test]
    fn terminal_requests() {
        assert!(is_terminal(linux::TCGETS) && is_terminal(linux::TIOCGWINSZ));
        assert!(!is_terminal(linux::FIONREAD) && !is_terminal(linux::FIOCLEX));
        assert!(!is_terminal(linux::BLKGETSIZE64));
    }
}
