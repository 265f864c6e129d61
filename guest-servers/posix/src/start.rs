//! The first program of a process that init made.

use crate::call::exec::{self, Strings};
use crate::local::Local;
use crate::state::{FILES, IDENTITY, INIT, install};
use crate::{entry, local, window};
use ferrix_abi::handle::Handle;
use ferrix_machine::milestone;
use ferrix_posix::descriptors::{Descriptor, OnExec};
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::file::{self, kind};
use ferrix_proto::startup::{MAGIC, Startup, name};
use ferrix_rt::client::Request;
use ferrix_rt::sys::{memory, process, system};
use linux_raw_sys::ioctl;

/// Exit status when the program cannot be executed.
const FAILED: u32 = 127 << 8;

/// Runs on the thread's own stack, whose top is given; the frame is filled for the exit window.
pub extern "C" fn first(startup: &'static Startup, stack_top: u64, frame: &mut Frame) {
    local::update(|local| {
        *local = Local {
            stack_top,
            ..Local::default()
        }
    });
    if let Err(errno) = begin(startup, frame) {
        let path = startup.strings().next().unwrap_or_default();
        let path = core::str::from_utf8(path).unwrap_or("?");
        let mut line = arrayvec::ArrayString::<256>::new();
        // What does not fit is cut.
        let _ = core::fmt::Write::write_fmt(
            &mut line,
            format_args!(
                "posix: {path} cannot be executed ({errno:?}): is it a static x86-64 program on the root disk?\n"
            ),
        );
        system::log(&line);
        process::exit(FAILED);
    }
}

fn begin(startup: &'static Startup, frame: &mut Frame) -> Result<()> {
    if startup.magic != MAGIC {
        return Err(Errno::EINVAL);
    }
    process::set_personality(memory::SELF, &entry::personality())?;
    *IDENTITY.lock() = process::identity(0)?;
    take_handles(startup)?;
    let path = startup.strings().next().ok_or(Errno::ENOENT)?;
    exec::execute(frame, path, &Strings::Startup(startup))?;
    system::milestone(milestone::FIRST_EXEC);
    Ok(())
}

fn take_handles(startup: &Startup) -> Result<()> {
    let handle = |name| startup.handle(name).map(Handle).ok_or(Errno::EBADF);
    {
        let mut files = FILES.lock();
        files.root = handle(name::ROOT)?;
        files.cwd = handle(name::CWD)?;
        files.queue.port = startup.handle(name::QUEUE).map_or(Handle::NONE, Handle);
        files.umask = 0o022;
    }
    // vfs becomes the first server in the list of windows.
    window::server_of(handle(name::ROOT)?)?;
    for stream in [name::STDIN, name::STDOUT, name::STDERR] {
        let session = handle(stream)?;
        install(Descriptor::new(session.0, kind::TERMINAL, OnExec::Keep), 0)?;
    }
    *INIT.lock() = startup.handle(name::INIT).map_or(Handle::NONE, Handle);
    take_terminal(handle(name::STDIN)?);
    Ok(())
}

/// The first program leads a session of its own, whose terminal is its standard input (credentials(7)): so that
/// a shell has job control. Standard input that is no terminal, or one that is taken, changes nothing.
fn take_terminal(stdin: Handle) {
    if process::new_session().is_ok() {
        let _ = Request::new(file::IOCTL, [ioctl::TIOCSCTTY.into(), 0, 0]).send(stdin);
    }
}
