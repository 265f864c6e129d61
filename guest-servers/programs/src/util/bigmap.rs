//! `bigmap [-s SEED] [-n PAGES] [-a] FILE MIB`: writes and reads a file through a shared mapping, in random order. The
//! file may be larger than memory: then the system has to take pages back, written ones too.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::coherence::Random;
use crate::cx::{Cx, Fail, Outcome};
use crate::opts::number;
use crate::sys::memory::{self, PAGE};

/// A file, mapped as a whole.
struct Mapped {
    file: File,
    address: usize,
    pages: usize,
}

impl Mapped {
    fn new(path: &Path, pages: usize) -> io::Result<Mapped> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).open(path)?;
        file.set_len((pages * PAGE) as u64)?;
        let how = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let address = memory::map(0, pages * PAGE, how, file.as_raw_fd(), 0)?;
        Ok(Mapped {
            file,
            address,
            pages,
        })
    }

    /// The page's first and last 8 bytes.
    fn ends(&self, page: usize) -> [u64; 2] {
        [0, PAGE - 8].map(|offset| {
            let mut bytes = [0; 8];
            memory::copy_out(self.address + page * PAGE + offset, &mut bytes);
            u64::from_le_bytes(bytes)
        })
    }

    fn write(&self, page: usize, value: u64) {
        for offset in [0, PAGE - 8] {
            memory::copy_in(self.address + page * PAGE + offset, &value.to_le_bytes());
        }
    }
}

/// What page `page` is to hold: 0 where nothing was written.
fn content(written: &BTreeSet<usize>, page: usize) -> u64 {
    match written.contains(&page) {
        true => (page as u64 + 1) * 0x9e37_79b9_7f4a_7c15,
        false => 0,
    }
}

fn check(what: &str, page: usize, found: [u64; 2], expected: u64) -> io::Result<()> {
    if found == [expected; 2] {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{what}: page {page} holds {found:x?} instead of {expected:x}"
    )))
}

/// Writes `count` pages, sums `summed` up that follow one another, and looks at `count` pages in other orders and
/// ways; the sum.
fn work(
    path: &Path,
    (pages, count, summed): (usize, usize, usize),
    random: &mut Random,
) -> io::Result<u64> {
    let mapped = Mapped::new(path, pages)?;
    let mut written = BTreeSet::new();
    for _ in 0..count {
        let page = random.below(pages);
        written.insert(page);
        mapped.write(page, content(&written, page));
    }
    let mut sum = 0u64;
    let first = random.below(mapped.pages - summed + 1);
    for page in first..first + summed {
        let found = mapped.ends(page);
        check("in sequence", page, found, content(&written, page))?;
        sum = sum.wrapping_add(found[0]);
    }
    for _ in 0..count / 2 {
        let page = random.below(pages);
        check(
            "at random",
            page,
            mapped.ends(page),
            content(&written, page),
        )?;
        let mut bytes = [0; 8];
        mapped
            .file
            .read_exact_at(&mut bytes, (page * PAGE) as u64)?;
        let read = u64::from_le_bytes(bytes);
        check("by read", page, [read; 2], content(&written, page))?;
    }
    memory::sync(mapped.address, pages * PAGE, libc::MS_SYNC as usize)?;
    memory::unmap(mapped.address, pages * PAGE)?;
    for &page in &written {
        let mut bytes = [0; PAGE];
        mapped
            .file
            .read_exact_at(&mut bytes, (page * PAGE) as u64)?;
        let word = |at| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let found = [word(0), word(PAGE - 8)];
        check("when unmapped", page, found, content(&written, page))?;
    }
    Ok(sum)
}

/// `bigmap [-s SEED] [-n PAGES] FILE MIB`.
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("s:n:a")?;
    let [path, size] = opts.operands.as_slice() else {
        return Err(Fail::usage("needs a file and a size"));
    };
    let size: usize = number(size).ok_or_else(|| Fail::usage("the size is no number"))?;
    let seed = opts.number('s', 1).map_err(Fail::Usage)?;
    let count = opts.number('n', 1000).map_err(Fail::Usage)?;
    let pages = (size << 20) / PAGE;
    let summed = if opts.has('a') {
        pages
    } else {
        pages.min(2 * count)
    };
    let counts = (pages, count, summed);
    let sum = work(Path::new(path), counts, &mut Random::new(seed));
    let sum = sum.map_err(|why| Fail::on(path, &why))?;
    writeln!(cx.out, "{pages} pages, seed {seed}, sum {sum:x}")?;
    Ok(0)
}
