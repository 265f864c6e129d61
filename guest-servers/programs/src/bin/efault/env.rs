//! What the arguments that are right name: files, pipes, the process.

use crate::places::{self, SCRATCH};
use crate::raw::poke;
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// Bytes in the pipe.
pub const IN_PIPE: usize = 64;

/// The files of all rows, and what each row's process has of its own.
pub struct Env {
    /// An open file of one page.
    pub file: usize,
    /// Another one.
    pub other: usize,
    /// The working directory, open.
    pub directory: usize,
    /// A pipe with [`IN_PIPE`] bytes in it: the end to read.
    pub output: usize,
    /// The end to write.
    pub input: usize,
    /// A terminal, if there is one.
    pub terminal: Option<usize>,
    /// This process.
    pub pid: usize,
    /// What a row makes for each call: a segment, a queue, a socket.
    pub own: Cell<usize>,
    /// What is at the other end of it.
    pub peer: Cell<usize>,
    /// Whether something was wrong besides the result.
    pub complaints: Cell<u32>,
    place: PathBuf,
}

fn with_page(name: &str) -> io::Result<usize> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(name)?;
    file.set_len(4096)?;
    Ok(file.into_raw_fd() as usize)
}

fn terminal() -> Option<usize> {
    ["/dev/tty", "/dev/ptmx", "/dev/console"]
        .into_iter()
        .find_map(|name| {
            let file = OpenOptions::new().read(true).write(true).open(name).ok()?;
            Some(file.into_raw_fd() as usize)
        })
}

impl Env {
    /// Makes files in a directory of their own, which becomes the working directory.
    pub fn new() -> io::Result<Env> {
        let place = std::env::temp_dir().join(format!("efault-{}", std::process::id()));
        fs::create_dir_all(&place)?;
        std::env::set_current_dir(&place)?;
        fs::create_dir("sub")?;
        symlink("target", "link")?;
        let (file, other) = (with_page("file")?, with_page("other")?);
        places::make(file as i32);
        Ok(Env {
            file,
            other,
            directory: File::open(".")?.into_raw_fd() as usize,
            output: 0,
            input: 0,
            terminal: terminal(),
            pid: 0,
            own: Cell::new(0),
            peer: Cell::new(0),
            complaints: Cell::new(0),
            place,
        })
    }

    /// What a row's process needs.
    pub fn begin(&mut self) -> io::Result<()> {
        let (output, input) = io::pipe()?;
        (self.output, self.input) = (output.into_raw_fd() as usize, input.into_raw_fd() as usize);
        self.pid = std::process::id() as usize;
        self.fill_pipe();
        Ok(())
    }

    /// Puts bytes into the empty pipe.
    pub fn fill_pipe(&self) {
        // SAFETY: reads a constant.
        let wrote =
            unsafe { libc::write(self.input as i32, [b'x'; IN_PIPE].as_ptr().cast(), IN_PIPE) };
        assert_eq!(wrote, IN_PIPE as isize);
    }

    /// Empties the pipe; how much there was.
    pub fn drain_pipe(&self) -> usize {
        let mut bytes = [0; 4 * IN_PIPE];
        let mut waiting = libc::pollfd {
            fd: self.output as i32,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut found = 0;
        // SAFETY: one entry; below, a buffer of that length.
        while unsafe { libc::poll(&raw mut waiting, 1, 0) } == 1 {
            // SAFETY: as above.
            let got =
                unsafe { libc::read(self.output as i32, bytes.as_mut_ptr().cast(), bytes.len()) };
            found += got as usize;
        }
        found
    }

    /// A structure that points on; its address.
    pub fn scratch(&self, bytes: &[u8]) -> usize {
        // SAFETY: the page is for nothing else.
        unsafe { poke(SCRATCH, bytes) };
        SCRATCH
    }

    /// Something is wrong besides the result.
    pub fn wrong(&self, what: &str) {
        self.complaints.set(self.complaints.get() + 1);
        println!("  {what}");
    }

    /// Removes the files.
    pub fn clean_up(&self) {
        let _ = std::env::set_current_dir("/");
        // What is left is in a temporary directory.
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Back to the file's begin.
pub fn rewind(fd: usize) {
    // SAFETY: numbers only.
    unsafe { libc::lseek(fd as i32, 0, libc::SEEK_SET) };
}

/// Closes a descriptor that a call made after all.
pub fn close(result: isize) {
    if result >= 0 {
        // SAFETY: nobody else has the number.
        unsafe { libc::close(result as i32) };
    }
}
