//! The new program's stack: strings copied, vectors filled in.

use super::exec::{Level, Strings, Text};
use super::time::CLOCK_TICKS;
use crate::state::IDENTITY;
use crate::{fp, random, user};
use ferrix_abi::layout::{PAGE_SIZE, STACK_TOP};
use ferrix_posix::elf_plan::{HEADER_ENTRY_SIZE, Plan};
use ferrix_posix::stack_image::{Contents, IMAGE_MAX, Layout};
use ferrix_posix::{Errno, Result};
use ferrix_proto::startup::Startup;
use linux_raw_sys::auxvec::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FLAGS, AT_GID, AT_HWCAP,
    AT_MINSIGSTKSZ, AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_RANDOM, AT_SECURE, AT_UID,
};

/// Entries of the auxiliary vector.
const AUXILIARY: usize = 18;
/// Bytes of stack that a signal handler needs at least, besides the floating-point state.
const SIGNAL_STACK: u64 = 1536;
/// The second place for a stack ends so far below the first: stacks grow.
const APART: u64 = 512 << 20;

/// The two places where a stack may end, the one that is not in use now first.
pub fn places(stack_pointer: u64) -> [u64; 2] {
    let first = STACK_TOP - APART / 2..=STACK_TOP;
    if first.contains(&stack_pointer) {
        [STACK_TOP - APART, STACK_TOP]
    } else {
        [STACK_TOP, STACK_TOP - APART]
    }
}

/// What the image is made of.
pub struct Image<'a> {
    /// The program.
    pub plan: &'a Plan,
    /// Its path (`AT_EXECFN`), and strings in place of the first argument.
    pub level: &'a Level<'a>,
    /// Arguments and environment.
    pub strings: &'a Strings,
}

/// Counts and bytes of the strings, before anything is copied.
struct Measure {
    arguments: u64,
    environment: u64,
    bytes: u64,
}

/// Writes strings upwards and their addresses into a vector.
struct Writer {
    string: u64,
    strings_end: u64,
    pointer: u64,
}

impl Writer {
    fn push_pointer(&mut self, value: u64) -> Result<()> {
        user::write(self.pointer, &value)?;
        self.pointer += 8;
        Ok(())
    }

    /// Writes a string; its place.
    fn put(&mut self, text: Text<'_>) -> Result<u64> {
        let place = self.string;
        let length = text.length();
        let end = place + length + 1;
        // The strings of a program with threads may have grown since they were measured.
        if end > self.strings_end {
            return Err(Errno::E2BIG);
        }
        match text {
            Text::Bytes(bytes) => user::write_bytes(place, bytes)?,
            Text::Program { address, length } => user::copy(place, address, length)?,
        }
        user::write(place + length, &0u8)?;
        self.string = end;
        Ok(place)
    }

    /// Writes a string and its address into the vector.
    fn push(&mut self, text: Text<'_>) -> Result<()> {
        let place = self.put(text)?;
        self.push_pointer(place)
    }
}

impl Text<'_> {
    fn length(&self) -> u64 {
        match *self {
            Text::Bytes(bytes) => bytes.len() as u64,
            Text::Program { length, .. } => length,
        }
    }
}

impl Image<'_> {
    /// Builds the image below `top`; the stack pointer.
    pub fn build(&self, top: u64) -> Result<u64> {
        let measure = self.measure()?;
        let contents = Contents {
            arguments: measure.arguments,
            environment: measure.environment,
            string_bytes: measure.bytes + self.level.path.length() + 1,
            auxiliary: AUXILIARY as u64,
        };
        let layout = Layout::new(top, &contents)?;
        user::write(layout.stack, &measure.arguments)?;
        let strings_end = layout.strings + contents.string_bytes;
        let mut writer = Writer {
            string: layout.strings,
            strings_end,
            pointer: layout.arguments,
        };
        self.write_arguments(&mut writer, measure.arguments)?;
        writer.push_pointer(0)?;
        self.write_environment(&mut writer, measure.environment)?;
        writer.push_pointer(0)?;
        let name = writer.put(self.level.path)?;
        user::write(layout.random, &[random::word(), random::word()])?;
        self.write_auxiliary(&layout, name)?;
        Ok(layout.stack)
    }

    fn measure(&self) -> Result<Measure> {
        let mut measure = Measure {
            arguments: 0,
            environment: 0,
            bytes: 0,
        };
        self.level.each_prefix(&mut |text| {
            measure.arguments += 1;
            measure.bytes += text.length() + 1;
            Ok(())
        })?;
        match *self.strings {
            Strings::Startup(page) => {
                for (index, string) in page.strings().enumerate().skip(self.replaced() as usize) {
                    let argument = is_argument(page, index);
                    let count = if argument {
                        &mut measure.arguments
                    } else {
                        &mut measure.environment
                    };
                    *count += 1;
                    measure.bytes += string.len() as u64 + 1;
                }
            }
            Strings::Program {
                arguments,
                environment,
            } => {
                let (count, bytes) = measure_vector(arguments, self.replaced())?;
                let (variables, more) = measure_vector(environment, 0)?;
                measure.arguments += count;
                measure.environment = variables;
                measure.bytes += bytes + more;
            }
        }
        Ok(measure)
    }

    /// Arguments that the strings of `#!` lines replace.
    fn replaced(&self) -> u64 {
        self.level.is_script().into()
    }

    fn write_arguments(&self, writer: &mut Writer, count: u64) -> Result<()> {
        let mut left = count;
        self.level.each_prefix(&mut |text| {
            left -= 1;
            writer.push(text)
        })?;
        match *self.strings {
            Strings::Startup(page) => write_startup(writer, page, self.replaced(), true),
            Strings::Program { arguments, .. } => {
                write_vector(writer, arguments, self.replaced(), left)
            }
        }
    }

    fn write_environment(&self, writer: &mut Writer, count: u64) -> Result<()> {
        match *self.strings {
            Strings::Startup(page) => write_startup(writer, page, 0, false),
            Strings::Program { environment, .. } => write_vector(writer, environment, 0, count),
        }
    }

    fn write_auxiliary(&self, layout: &Layout, name: u64) -> Result<()> {
        let identity = *IDENTITY.lock();
        let secure = identity.ruid != identity.euid || identity.rgid != identity.egid;
        let entries: [(u32, u64); AUXILIARY] = [
            (AT_PHDR, self.plan.headers),
            (AT_PHENT, HEADER_ENTRY_SIZE),
            (AT_PHNUM, self.plan.header_count),
            (AT_PAGESZ, PAGE_SIZE),
            (AT_BASE, 0),
            (AT_FLAGS, 0),
            (AT_ENTRY, self.plan.entry),
            (AT_UID, identity.ruid.into()),
            (AT_EUID, identity.euid.into()),
            (AT_GID, identity.rgid.into()),
            (AT_EGID, identity.egid.into()),
            (AT_SECURE, secure.into()),
            (AT_HWCAP, random::hardware_capabilities().into()),
            (AT_CLKTCK, CLOCK_TICKS),
            (AT_RANDOM, layout.random),
            (AT_EXECFN, name),
            (
                AT_MINSIGSTKSZ,
                SIGNAL_STACK + fp::layout().in_frame() as u64,
            ),
            (AT_NULL, 0),
        ];
        for (index, (key, value)) in entries.into_iter().enumerate() {
            user::write(
                layout.auxiliary + index as u64 * 16,
                &[u64::from(key), value],
            )?;
        }
        Ok(())
    }
}

fn is_argument(page: &Startup, index: usize) -> bool {
    index < page.argument_count as usize
}

fn write_startup(writer: &mut Writer, page: &Startup, from: u64, arguments: bool) -> Result<()> {
    for (index, string) in page.strings().enumerate().skip(from as usize) {
        if is_argument(page, index) == arguments {
            writer.push(Text::Bytes(string))?;
        }
    }
    Ok(())
}

/// Strings of a vector from index `from` on: how many, and bytes with their NULs. A null vector is empty.
fn measure_vector(vector: u64, from: u64) -> Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    if vector == 0 {
        return Ok((count, bytes));
    }
    for index in 0.. {
        let address: u64 = user::read(vector + index * 8)?;
        if address == 0 {
            break;
        }
        if index >= from {
            count += 1;
            bytes += user::string_length(address, IMAGE_MAX).map_err(too_long)? + 1;
        }
        if bytes + index * 8 > IMAGE_MAX {
            return Err(Errno::E2BIG);
        }
    }
    Ok((count, bytes))
}

fn too_long(errno: Errno) -> Errno {
    if errno == Errno::ENAMETOOLONG {
        Errno::E2BIG
    } else {
        errno
    }
}

fn write_vector(writer: &mut Writer, vector: u64, from: u64, count: u64) -> Result<()> {
    for index in from..from + count {
        let address = user::read(vector + index * 8)?;
        let length = user::string_length(address, IMAGE_MAX)?;
        writer.push(Text::Program { address, length })?;
    }
    Ok(())
}

/// The arguments of a built image, NUL-separated, as far as they fit; how many bytes.
pub fn read_arguments(stack: u64, into: &mut [u8]) -> Result<usize> {
    let count: u64 = user::read(stack)?;
    let mut length = 0;
    for index in 0..count {
        let address: u64 = user::read(stack + 8 + index * 8)?;
        let string = user::string_length(address, IMAGE_MAX)? as usize;
        let taken = string.min(into.len() - length);
        user::read_bytes(address, &mut into[length..length + taken])?;
        length += taken;
        if length == into.len() {
            break;
        }
        into[length] = 0;
        length += 1;
    }
    Ok(length)
}
