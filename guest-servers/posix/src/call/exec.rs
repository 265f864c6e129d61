//! `execve`: the old program is unmapped and the new one mapped, all in user mode.
//!
//! Until [`replace`] nothing of the old program is lost, and errors are its own. The new stack is made beside the old
//! one (they alternate between two places), so strings are copied once, from one program's memory to the other's.

use super::exec_stack::{self, Image};
use super::limits;
use super::names::{CWD, Payload, name};
use super::paths::opened;
use super::{shm, threads};
use crate::file_view::{FileObject, FileView};
use crate::server::{ask, received};
use crate::state::LockFuture;
use crate::state::{All, FILES, IDENTITY, descriptor, directory};
use crate::{local, program, user};
use ferrix_abi::handle::Handle;
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP, USER_BASE};
use ferrix_abi::process::ARGUMENTS_MAX;
use ferrix_abi::signal::number::SIGKILL;
use ferrix_abi::vm::MapFlags;
use ferrix_posix::credentials::may_execute;
use ferrix_posix::descriptors::OnExec;
use ferrix_posix::elf_plan::{self, Plan, Source};
use ferrix_posix::heap_break::Break;
use ferrix_posix::limits::first_stack;
use ferrix_posix::signal_frame::AltStack;
use ferrix_posix::{Errno, Frame, Result, script};
use ferrix_proto::attributes::Attributes;
use ferrix_proto::file;
use ferrix_proto::path::{OPEN, PATH_MAX};
use ferrix_proto::startup::Startup;
use ferrix_rt::sys::{ipc, memory, process};
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_NOFOLLOW, RLIMIT_STACK, S_IFMT, S_IFREG,
};

/// Scripts may be interpreted by scripts so many times.
const DEPTH_MAX: usize = 4;

/// Where a string is. Nothing is copied but into the new stack: every page that `exec` touches here is one that a
/// forked child has to copy.
#[derive(Clone, Copy)]
pub enum Text<'a> {
    /// In the program.
    Program {
        /// Address.
        address: u64,
        /// Bytes, without the NUL.
        length: u64,
    },
    /// In a script, or on the start-up page.
    Bytes(&'a [u8]),
}

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

/// A file that is being executed, as its path was given, and the script that asked for it.
pub struct Level<'a> {
    /// Its path.
    pub path: Text<'a>,
    via: Option<Via<'a>>,
}

struct Via<'a> {
    interpreter: script::Interpreter<'a>,
    script: &'a Level<'a>,
}

/// Which strings of a level are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    First,
    Second,
}

impl Level<'_> {
    /// Whether strings of `#!` lines replace the first argument.
    pub fn is_script(&self) -> bool {
        self.via.is_some()
    }

    /// Visits the strings that replace the first argument: interpreter, its argument, the script's path, and of an
    /// outer script again all but the first.
    pub fn each_prefix(&self, visit: &mut dyn FnMut(Text<'_>) -> Result<()>) -> Result<()> {
        self.each_from(From::First, visit)
    }

    fn each_from(&self, from: From, visit: &mut dyn FnMut(Text<'_>) -> Result<()>) -> Result<()> {
        let Some(via) = &self.via else {
            return Ok(());
        };
        if from == From::First {
            visit(Text::Bytes(via.interpreter.path))?;
        }
        if let Some(argument) = via.interpreter.argument {
            visit(Text::Bytes(argument))?;
        }
        visit(via.script.path)?;
        via.script.each_from(From::Second, visit)
    }
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
    let length = user::string_length(address, PATH_MAX as u64 - 1)?;
    let level = Level {
        path: Text::Program { address, length },
        via: None,
    };
    let strings = Strings::Program {
        arguments,
        environment,
    };
    let opened = if length == 0 {
        if flags & u64::from(AT_EMPTY_PATH) == 0 {
            return Err(Errno::ENOENT);
        }
        Opened {
            session: Handle(descriptor(directory_fd)?.handle),
            keep: true,
        }
    } else {
        let no_follow = if flags & u64::from(AT_SYMLINK_NOFOLLOW) != 0 {
            O_NOFOLLOW
        } else {
            0
        };
        let name = name(directory_fd, address)?;
        open(name.start, &name.payload, no_follow)?
    };
    run(frame, opened, &level, &strings, 0)?;
    memory::forget_most();
    Ok(frame.rax)
}

/// Executes a program by its path.
pub fn execute(frame: &mut Frame, path: &'static [u8], strings: &Strings) -> Result<()> {
    let level = Level {
        path: Text::Bytes(path),
        via: None,
    };
    run(frame, open_bytes(path)?, &level, strings, 0)
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

fn open(start: Handle, path: &Payload, flags: u32) -> Result<Opened> {
    let answer = path.send(start, OPEN, [flags.into(), 0], 0)?;
    Ok(Opened {
        session: opened(&answer)?.0,
        keep: false,
    })
}

fn open_bytes(path: &[u8]) -> Result<Opened> {
    let start = if path.first() == Some(&b'/') {
        FILES.lock().root
    } else {
        directory(CWD)?
    };
    let mut payload = Payload::new();
    payload.push(path)?;
    open(start, &payload, 0)
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
    FileObject::of(opened.session, file::object::SNAPSHOT)
}

/// Runs a program, or the interpreter of a script.
fn run(
    frame: &mut Frame,
    opened: Opened,
    level: &Level<'_>,
    strings: &Strings,
    depth: usize,
) -> Result<()> {
    let object = load(&opened)?;
    drop(opened);
    let view = FileView::new(&object)?;
    let Some(interpreter) = script::parse(view.bytes()) else {
        let plan = elf_plan::plan(view.bytes(), object.size)?;
        return start(
            frame,
            &Program {
                plan: &plan,
                object: &object,
                view: &view,
            },
            level,
            strings,
        );
    };
    if depth == DEPTH_MAX {
        return Err(Errno::ELOOP);
    }
    let opened = open_bytes(interpreter.path)?;
    let path = Text::Bytes(interpreter.path);
    let next = Level {
        path,
        via: Some(Via {
            interpreter,
            script: level,
        }),
    };
    run(frame, opened, &next, strings, depth + 1)
}

/// An executable file.
struct Program<'a> {
    plan: &'a Plan,
    object: &'a FileObject,
    view: &'a FileView,
}

fn start(frame: &mut Frame, new: &Program<'_>, level: &Level<'_>, strings: &Strings) -> Result<()> {
    let size = first_stack(limits::current().soft(RLIMIT_STACK));
    let top = map_stack(frame.rsp, size)?;
    let image = Image {
        plan: new.plan,
        level,
        strings,
    };
    let built = image.build(top);
    // It may have grown.
    let bottom = program::whole_region(top - PAGE_SIZE)?.start;
    let stack = built.inspect_err(|_| {
        // Mapped just now.
        let _ = program::unmap(bottom, top - bottom);
    })?;
    let mut locks = All::lock();
    commit(stack)?;
    threads::release_locks();
    close_on_exec(&mut locks);
    shm::detach_all(&mut locks.attachments);
    *locks.locking = LockFuture::No;
    if replace(new, bottom..top).is_err() {
        // The old program is gone and the new one cannot be: as on Linux, SIGKILL.
        process::exit(SIGKILL);
    }
    locks.actions.reset_caught();
    *locks.heap = Break::at(new.plan.end);
    locks.stacks.only_caller();
    local::update(|local| {
        local.clear_tid = 0;
        local.alternate = AltStack::default();
    });
    *frame = Frame::start(new.plan.entry, stack);
    Ok(())
}

/// Maps the new stack at whichever of the two places is free; its end.
fn map_stack(stack_pointer: u64, size: u64) -> Result<u64> {
    let [likely, other] = exec_stack::places(stack_pointer);
    match program::map_fresh(likely - size, size, MapFlags::GROWS_DOWN) {
        Err(Errno::EEXIST) => {
            program::map_fresh(other - size, size, MapFlags::GROWS_DOWN).map(|_| other)
        }
        mapped => mapped.map(|_| likely),
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
    if stack.end < STACK_TOP {
        program::unmap(stack.end, STACK_TOP - stack.end)?;
    }
    for map in &new.plan.maps {
        match map.source {
            Source::Memory => {
                program::map(&memory::Mapping {
                    address: map.address,
                    flags: MapFlags::FIXED | MapFlags::PRIVATE,
                    ..memory::Mapping::anonymous(map.length, map.prot)
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
