//! `ioctl` (ioctl_tty(2)), attributes and flags of an open terminal.

use super::{Server, WindowSize};
use ferrix_abi::signal::number::SIGWINCH;
use ferrix_console::termios::Termios;
use ferrix_proto::attributes::{Attributes, Plain};
use ferrix_rt::service::{Errno, Outcome, Reply, Request};
use ferrix_rt::sys::process;
use linux_raw_sys::errno::{EINVAL, ENOTTY, EPERM, ESRCH};
use linux_raw_sys::general as linux;
use linux_raw_sys::ioctl;

/// `/dev/console` is character device 5:1.
const DEVICE: u64 = 5 << 8 | 1;

impl Server {
    pub(super) fn ioctl(&mut self, request: &Request) -> Outcome {
        self.flags(request.badge)?;
        match request.words[0] as u32 {
            ioctl::TCGETS => Ok(structure(&self.terminal.termios().to_wire())),
            ioctl::TCSETS | ioctl::TCSETSW => self.set_termios(request),
            ioctl::TCSETSF => {
                self.flush_input();
                self.set_termios(request)
            }
            ioctl::TIOCGWINSZ => Ok(structure(&window_to_wire(self.window_size))),
            ioctl::TIOCSWINSZ => self.set_window_size(request),
            ioctl::TIOCGPGRP => Ok(structure(&self.foreground.to_ne_bytes())),
            ioctl::TIOCSPGRP => self.set_foreground(request),
            ioctl::TIOCGSID => Ok(structure(&self.session.to_ne_bytes())),
            ioctl::TIOCSCTTY => self.set_controlling(request),
            ioctl::TIOCNOTTY => {
                (self.session, self.foreground) = (0, 0);
                done()
            }
            ioctl::FIONREAD => Ok(structure(
                &(self.terminal.readable_len() as u32).to_ne_bytes(),
            )),
            ioctl::TIOCOUTQ => Ok(structure(
                &(self.terminal.output_len() as u32).to_ne_bytes(),
            )),
            ioctl::TCFLSH => self.flush(request),
            // There is no line to break, to wait for or to hold.
            ioctl::TCSBRK | ioctl::TCSBRKP | ioctl::TCXONC | ioctl::TIOCEXCL | ioctl::TIOCNXCL => {
                done()
            }
            _ => Err(ENOTTY as Errno),
        }
    }

    fn set_termios(&mut self, request: &Request) -> Outcome {
        let (bytes, length) = request.inline()?;
        let termios = Termios::from_wire(&bytes[..length]).ok_or(EINVAL as Errno)?;
        self.terminal.set_termios(termios);
        self.pump();
        done()
    }

    fn flush(&mut self, request: &Request) -> Outcome {
        if !matches!(
            request.words[1] as u32,
            linux::TCIFLUSH | linux::TCOFLUSH | linux::TCIOFLUSH
        ) {
            return Err(EINVAL as Errno);
        }
        if request.words[1] as u32 != linux::TCOFLUSH {
            self.flush_input();
        }
        if request.words[1] as u32 != linux::TCIFLUSH {
            self.terminal.output_taken(self.terminal.output_len());
        }
        self.tell_readiness();
        done()
    }

    fn set_window_size(&mut self, request: &Request) -> Outcome {
        let (bytes, length) = request.inline()?;
        let size = window_from_wire(&bytes[..length]).ok_or(EINVAL as Errno)?;
        if size != self.window_size {
            self.window_size = size;
            self.signal(SIGWINCH);
        }
        done()
    }

    /// A session leader without a terminal makes this its own (credentials(7)).
    fn set_controlling(&mut self, request: &Request) -> Outcome {
        let pid = request.caller.pid;
        if process::session(pid)? != pid {
            return Err(EPERM as Errno);
        }
        let owned =
            self.session != 0 && self.session != pid && process::session(self.session).is_ok();
        if owned {
            return Err(EPERM as Errno);
        }
        self.session = pid;
        self.foreground = process::group(pid)?;
        done()
    }

    fn set_foreground(&mut self, request: &Request) -> Outcome {
        let (bytes, length) = request.inline()?;
        let group = bytes[..length]
            .first_chunk()
            .map(|bytes| u32::from_ne_bytes(*bytes))
            .ok_or(EINVAL as Errno)?;
        if self.session == 0 || process::session(request.caller.pid)? != self.session {
            return Err(ENOTTY as Errno);
        }
        if i32::try_from(group).map_or(true, |group| group <= 0) {
            return Err(EINVAL as Errno);
        }
        // The group's leader may be gone, but then some member must be in the session.
        match process::session(group) {
            Ok(session) if session != self.session => return Err(EPERM as Errno),
            Err(_) if !group_exists(group) => return Err(ESRCH as Errno),
            _ => {}
        }
        self.foreground = group;
        done()
    }

    pub(super) fn attributes(&mut self, request: &Request) -> Outcome {
        self.flags(request.badge)?;
        let attributes = Attributes {
            device: DEVICE,
            inode: 1,
            mode: linux::S_IFCHR | 0o620,
            links: 1,
            rdev: DEVICE,
            block_size: 1024,
            ..Attributes::default()
        };
        Ok(Some(Reply::inline(attributes.to_bytes())))
    }

    pub(super) fn get_flags(&mut self, request: &Request) -> Outcome {
        let kept = linux::O_ACCMODE | linux::O_APPEND | linux::O_NONBLOCK;
        let flags = *self.flags(request.badge)? & kept;
        Ok(Some(Reply::value(0).with_words([flags.into(), 0, 0])))
    }

    pub(super) fn set_flags(&mut self, request: &Request) -> Outcome {
        let changeable = linux::O_APPEND | linux::O_NONBLOCK;
        let to = request.words[0] as u32 & changeable;
        let flags = self.flags(request.badge)?;
        *flags = *flags & !changeable | to;
        done()
    }
}

fn group_exists(group: u32) -> bool {
    let mut previous = 0;
    core::iter::from_fn(|| {
        let info = process::next(previous).ok()?;
        previous = info.pid;
        Some(info)
    })
    .any(|info| info.group == group)
}

fn done() -> Outcome {
    Ok(Some(Reply::value(0)))
}

/// A structure as the result; the call itself returns 0.
fn structure(bytes: &[u8]) -> Option<Reply> {
    Some(Reply {
        status: 0,
        ..Reply::inline(bytes)
    })
}

fn window_to_wire(size: WindowSize) -> [u8; 8] {
    let mut wire = [0; 8];
    for (place, field) in wire.chunks_exact_mut(2).zip(size) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    wire
}

fn window_from_wire(wire: &[u8]) -> Option<WindowSize> {
    let wire: &[u8; 8] = wire.first_chunk()?;
    let mut size = [0; 4];
    for (field, bytes) in size.iter_mut().zip(wire.chunks_exact(2)) {
        *field = u16::from_ne_bytes([bytes[0], bytes[1]]);
    }
    Some(size)
}
