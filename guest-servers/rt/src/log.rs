//! Lines in the kernel's log.

use alloc::format;
use core::fmt::Arguments;

/// Writes one line; the server's name is in front.
pub fn line(server: &str, arguments: Arguments<'_>) {
    crate::sys::system::log(&format!("{server}: {arguments}\n"));
}

/// `log!("blk", "vda: {} sectors", n)`: one line in the kernel's log.
#[macro_export]
macro_rules! log {
    ($server:expr, $($argument:tt)*) => {
        $crate::log::line($server, format_args!($($argument)*))
    };
}
