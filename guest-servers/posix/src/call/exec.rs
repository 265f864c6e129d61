//! `execve`: the old program is unmapped and the new one mapped, all in user mode.
//!
//! Until [`replace`] nothing of the old program is lost, and errors are its own. The new stack is made beside the old
//! one (they alternate between two places), so strings are copied once, from one program's memory to the other's.

use super::exec_stack::{self, Image};
use super::names::{CWD, Payload};
use super::paths::opened;
use crate::file_view::{FileObject, FileView};
use crate::server::{ask, received};
use crate::state::{All, FILES, IDENTITY, directory};
use crate::{local, program, user};
use arrayvec::ArrayVec;
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::{SYSTEM_BASE, USER_BASE};
use ferrix_abi::process::ARGUMENTS_MAX;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::vm::MapFlags;
use ferrix_posix::credentials::may_execute;
use ferrix_posix::descriptors::OnExec;
use ferrix_posix::elf_plan::{self, Plan, Source};
use ferrix_posix::heap_break::Break;
use ferrix_posix::limits::STACK_SIZE;
use ferrix_posix::signal_frame::AltStack;
use ferrix_posix::{Errno, Frame, Result, script};
use ferrix_proto::attributes::Attributes;
use ferrix_proto::file;
use ferrix_proto::path::{OPEN, PATH_MAX};
use ferrix_proto::startup::Startup;
use ferrix_rt::sys::{ipc, process};
use linux_raw_sys::general::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_NOFOLLOW, S_IFMT, S_IFREG};

/// Scripts may be interpreted by scripts so many times.
const DEPTH_MAX: usize = 4;

/// A path, or the strings that a `#!` line puts in front.
pub type Text = ArrayVec<u8, PATH_MAX>;

/// Arguments and environment.
pub enum Strings {
    /// Of the first program.
    Startup(&'static Startup),
    /// The program's: addresses of the two vectors.
    Program {
        /// `argv`.
        arguments: u64,
        /// `envp`.
        environment: u64,
    },
}

/// What `#!` lines put in front of the arguments: NUL-terminated strings, which replace the first argument.
#[derive(Default)]
pub struct Prefix {
    /// The strings.
    pub text: Text,
    /// How many.
    pub count: u64,
}

pub fn execve(frame: &mut Frame) -> Result<u64> {
    let [path, arguments, environment, ..] = frame.args();
    execute_at(frame, (CWD, path, 0), arguments, environment)
}

pub fn execveat(frame: &mut Frame) -> Result<u64> {
    let [directory, path, arguments, environment, flags, _] = frame.args();
    if flags & !u64::from(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    execute_at(frame, (directory, path, flags), arguments, environment)
}

fn execute_at(
    frame: &mut Frame,
    file: (u64, u64, u64),
    arguments: u64,
    environment: u64,
) -> Result<u64> {
    let (directory_fd, address, flags) = file;
    let mut path = Text::new();
    read_path(address, &mut path)?;
    let strings = Strings::Program {
        arguments,
        environment,
    };
    if path.is_empty() {
        let own = flags & u64::from(AT_EMPTY_PATH) != 0;
        let fd = if own {
            crate::state::descriptor(directory_fd)?
        } else {
            return Err(Errno::ENOENT);
        };
        let opened = Opened {
            session: Handle(fd.handle),
            keep: true,
        };
        return run(frame, opened, path, &strings).map(|()| frame.rax);
    }
    let start = if path[0] == b'/' {
        FILES.lock().root
    } else {
        directory(directory_fd)?
    };
    let no_follow = if flags & u64::from(AT_SYMLINK_NOFOLLOW) != 0 {
        O_NOFOLLOW
    } else {
        0
    };
    let opened = open(start, &path, no_follow)?;
    run(frame, opened, path, &strings)?;
    Ok(frame.rax)
}

/// Executes a program by its path.
pub fn execute(frame: &mut Frame, path: &[u8], strings: &Strings) -> Result<()> {
    let mut text = Text::new();
    text.try_extend_from_slice(path)
        .map_err(|_| Errno::ENAMETOOLONG)?;
    let start = FILES.lock().root;
    run(frame, open(start, path, 0)?, text, strings)
}

fn read_path(address: u64, path: &mut Text) -> Result<()> {
    let length = user::string_length(address, PATH_MAX as u64 - 1)?;
    // A page at most: read in pieces that fit the stack.
    let mut piece = [0; 256];
    let mut done = 0;
    while done < length {
        let taken = (length - done).min(piece.len() as u64) as usize;
        user::read_bytes(address + done, &mut piece[..taken])?;
        path.try_extend_from_slice(&piece[..taken])
            .map_err(|_| Errno::ENAMETOOLONG)?;
        done += taken as u64;
    }
    Ok(())
}

/// The session of the file to execute.
struct Opened {
    session: Handle,
    /// It is the program's own descriptor.
    keep: bool,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.keep {
            let _ = ipc::close(self.session);
        }
    }
}

fn open(start: Handle, path: &[u8], flags: u32) -> Result<Opened> {
    let mut payload = Payload::new();
    payload.push(path)?;
    let answer = payload.send(start, OPEN, [flags.into(), 0], 0)?;
    Ok(Opened {
        session: opened(&answer)?.0,
        keep: false,
    })
}

/// A file that may be executed, as far as its mode tells.
fn load(opened: &Opened) -> Result<FileObject> {
    let attributes: Attributes = received(&ask(opened.session, file::GET_ATTRIBUTES, [0; 3])?)?;
    let regular = attributes.mode & S_IFMT == S_IFREG;
    let allowed = may_execute(
        &IDENTITY.lock(),
        attributes.mode,
        attributes.uid,
        attributes.gid,
    );
    if !regular || !allowed {
        return Err(Errno::EACCES);
    }
    FileObject::of(opened.session)
}

/// Follows `#!` lines to a program, then runs it.
fn run(frame: &mut Frame, mut opened: Opened, path: Text, strings: &Strings) -> Result<()> {
    let mut prefix = Prefix::default();
    for _ in 0..=DEPTH_MAX {
        let object = load(&opened)?;
        let view = FileView::new(&object)?;
        let Some(interpreter) = script::parse(view.bytes()) else {
            let plan = elf_plan::plan(view.bytes(), object.size)?;
            drop(opened);
            return start(
                frame,
                &Program {
                    plan: &plan,
                    object: &object,
                    view: &view,
                },
                &path,
                &prefix,
                strings,
            );
        };
        prefix = prefix.behind(&interpreter, &path)?;
        let root = if interpreter.path[0] == b'/' {
            FILES.lock().root
        } else {
            directory(CWD)?
        };
        opened = open(root, interpreter.path, 0)?;
    }
    Err(Errno::ELOOP)
}

impl Prefix {
    /// The strings for one more interpreter: its path, its argument, the script's path, then the old ones but the
    /// first (which was the script's path as its interpreter would see it).
    fn behind(&self, interpreter: &script::Interpreter<'_>, path: &[u8]) -> Result<Prefix> {
        let mut new = Prefix::default();
        new.push(interpreter.path)?;
        if let Some(argument) = interpreter.argument {
            new.push(argument)?;
        }
        new.push(path)?;
        for old in self
            .text
            .split(|&byte| byte == 0)
            .take(self.count as usize)
            .skip(1)
        {
            new.push(old)?;
        }
        Ok(new)
    }

    fn push(&mut self, string: &[u8]) -> Result<()> {
        self.text
            .try_extend_from_slice(string)
            .map_err(|_| Errno::E2BIG)?;
        self.text.try_push(0).map_err(|_| Errno::E2BIG)?;
        self.count += 1;
        Ok(())
    }
}

/// An executable file.
struct Program<'a> {
    plan: &'a Plan,
    object: &'a FileObject,
    view: &'a FileView,
}

fn start(
    frame: &mut Frame,
    new: &Program<'_>,
    path: &[u8],
    prefix: &Prefix,
    strings: &Strings,
) -> Result<()> {
    let top = map_stack(frame.rsp)?;
    let bottom = top - STACK_SIZE;
    let image = Image {
        plan: new.plan,
        path,
        prefix,
        strings,
    };
    let built = image.build(top);
    let stack = built.inspect_err(|_| {
        // Mapped just now.
        let _ = program::unmap(bottom, STACK_SIZE);
    })?;
    let mut locks = All::lock();
    commit(stack)?;
    close_on_exec(&mut locks);
    if replace(new, bottom..top).is_err() {
        // The old program is gone and the new one cannot be: as on Linux, SIGKILL.
        process::exit(SIGKILL);
    }
    locks.actions.reset_caught();
    *locks.heap = Break::at(new.plan.end);
    locks.stacks.only_caller();
    local::update(|local| {
        (local.clear_tid, local.robust_list) = (0, 0);
        local.alternate = AltStack::default();
    });
    *frame = Frame::start(new.plan.entry, stack);
    Ok(())
}

/// Maps the new stack at whichever of the two places is free; its end.
fn map_stack(stack_pointer: u64) -> Result<u64> {
    let [likely, other] = exec_stack::places(stack_pointer);
    match program::map_fresh(likely - STACK_SIZE, STACK_SIZE) {
        Ok(_) => Ok(likely),
        Err(_) => program::map_fresh(other - STACK_SIZE, STACK_SIZE).map(|_| other),
    }
}

/// The kernel's part, with the arguments for `/proc`.
fn commit(stack: u64) -> Result<()> {
    let mut text = [0; ARGUMENTS_MAX];
    let length = exec_stack::read_arguments(stack, &mut text)?;
    Ok(process::exec_commit(&text[..length])?)
}

fn close_on_exec(locks: &mut All) {
    let mut from = 0;
    while let Some(fd) = locks
        .files
        .table
        .find(from, |entry| entry.on_exec == OnExec::Close)
    {
        // Just found.
        let _ = locks.files.close(fd);
        from = fd + 1;
    }
}

/// Unmaps everything but the new stack, maps the program.
fn replace(new: &Program<'_>, stack: core::ops::Range<u64>) -> Result<()> {
    program::unmap(USER_BASE, stack.start - USER_BASE)?;
    program::unmap(stack.end, SYSTEM_BASE - stack.end)?;
    for map in &new.plan.maps {
        match map.source {
            Source::Memory => {
                program::map(&ferrix_rt::sys::memory::Mapping {
                    address: map.address,
                    flags: MapFlags::FIXED | MapFlags::PRIVATE,
                    ..ferrix_rt::sys::memory::Mapping::anonymous(map.length, map.prot)
                })?;
            }
            Source::Shared(offset) | Source::Private(offset) => {
                let private = matches!(map.source, Source::Private(_));
                let flags = if private {
                    MapFlags::PRIVATE
                } else {
                    MapFlags::empty()
                };
                let object = (new.object.handle, offset);
                program::map_object(map.address, map.length, map.prot, flags, object)?;
            }
        }
    }
    for copy in &new.plan.copies {
        let bytes = new
            .view
            .bytes()
            .get(copy.offset as usize..(copy.offset + copy.length) as usize);
        user::write_bytes(copy.address, bytes.ok_or(Errno::ENOEXEC)?)?;
    }
    Ok(())
}
