//! How a server starts and ends.

use crate::sys::{process, system};
use ferrix_abi::signal::number::SIGABRT;
use ferrix_proto::startup::{MAGIC, Startup};

/// Makes a `fn(&'static Startup)` the program; when it returns, the server exits with status 0.
#[macro_export]
macro_rules! server {
    ($main:path) => {
        /// First instruction: RDI = the start-up page, the stack is aligned by the creator.
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".text._start")]
        extern "C" fn _start(startup: u64) -> ! {
            $crate::entry::run(startup, $main)
        }
    };
}

/// Checks the start-up page and runs the server.
pub fn run(startup: u64, main: fn(&'static Startup)) -> ! {
    let startup = startup as *const Startup;
    // SAFETY: init maps the page before it starts the process; it stays mapped. The magic number
    // catches a creator that passes something else.
    let startup = unsafe { &*startup };
    assert!(
        startup.magic == MAGIC,
        "the start-up page has no magic number"
    );
    main(startup);
    process::exit(0)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut line = Line {
        text: [0; 256],
        length: 0,
    };
    let _ = core::fmt::Write::write_fmt(&mut line, format_args!("server {info}\n"));
    system::log(line.as_str());
    process::exit(SIGABRT)
}

/// A line built without the heap, which may be what failed.
struct Line {
    text: [u8; 256],
    length: usize,
}

impl Line {
    fn as_str(&self) -> &str {
        let bytes = &self.text[..self.length];
        core::str::from_utf8(bytes).unwrap_or_else(|error| {
            core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        })
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let room = self.text.len() - self.length;
        let taken = part.len().min(room);
        self.text[self.length..self.length + taken].copy_from_slice(&part.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}
