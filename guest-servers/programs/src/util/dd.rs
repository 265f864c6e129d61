//! `dd`: blocks from one place to another.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use crate::cx::{Cx, Fail, Outcome, cause};
use crate::sys::fd::Fd;
use crate::text::{human, size};

/// What is copied, and how.
struct Plan {
    input: Option<String>,
    output: Option<String>,
    block: usize,
    count: u64,
    /// Blocks of the input that are passed over.
    skip: u64,
    /// Blocks of the output that are passed over.
    seek: u64,
    truncates: bool,
    syncs: bool,
    quiet: bool,
}

/// No block is larger: it is held in memory.
const MAX_BLOCK: u64 = 64 << 20;

/// `dd [if=FILE] [of=FILE] [bs=SIZE] [count=N] [skip=N] [seek=N] [conv=notrunc,fsync]
/// [status=none]`
pub fn run(cx: &mut Cx) -> Outcome {
    let plan = Plan::parse(cx)?;
    let start = Instant::now();
    let (full, partial, bytes) = copy(&plan).map_err(Fail::new)?;
    if !plan.quiet {
        let elapsed = start.elapsed().as_secs_f64();
        let rate = human((bytes as f64 / elapsed.max(1e-9)) as u64);
        errln!(
            "{}+{} records in\n{}+{} records out",
            full,
            partial,
            full,
            partial
        );
        errln!(
            "{bytes} bytes ({}) copied, {elapsed:.3} s, {rate}B/s",
            human(bytes)
        );
    }
    Ok(0)
}

impl Plan {
    fn parse(cx: &Cx) -> Result<Self, Fail> {
        let mut plan = Self {
            input: None,
            output: None,
            block: 512,
            count: u64::MAX,
            skip: 0,
            seek: 0,
            truncates: true,
            syncs: false,
            quiet: false,
        };
        for arg in cx.args {
            let arg = arg.to_string_lossy();
            let bad = || Fail::usage(format!("{arg}: is not understood"));
            let (key, value) = arg.split_once('=').ok_or_else(bad)?;
            let amount = || size(value.as_ref()).ok_or_else(bad);
            match key {
                "if" => plan.input = Some(value.into()),
                "of" => plan.output = Some(value.into()),
                "bs" | "ibs" | "obs" => {
                    let block = amount()?;
                    if !(1..=MAX_BLOCK).contains(&block) {
                        return Err(Fail::usage(format!("{arg}: must be from 1 to 64M")));
                    }
                    plan.block = block as usize;
                }
                "count" => plan.count = amount()?,
                "skip" => plan.skip = amount()?,
                "seek" => plan.seek = amount()?,
                "status" => plan.quiet = value == "none",
                "conv" => {
                    for word in value.split(',') {
                        match word {
                            "notrunc" => plan.truncates = false,
                            "fsync" | "fdatasync" => plan.syncs = true,
                            _ => return Err(bad()),
                        }
                    }
                }
                _ => return Err(bad()),
            }
        }
        Ok(plan)
    }

    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.block as u64)
    }
}

fn named(name: &str, why: &io::Error) -> String {
    format!("{name}: {}", cause(why))
}

/// Copies; the numbers of full and partial blocks, and of bytes.
fn copy(plan: &Plan) -> Result<(u64, u64, u64), String> {
    let from = plan.input.as_deref().unwrap_or("standard input");
    let to = plan.output.as_deref().unwrap_or("standard output");
    let mut input: Box<dyn Read> = match &plan.input {
        None => Box::new(Fd::STDIN),
        Some(name) => {
            let mut file = std::fs::File::open(name).map_err(|why| named(from, &why))?;
            // What cannot be sought is read past below.
            let _ = plan.skip > 0 && file.seek(SeekFrom::Start(plan.bytes(plan.skip))).is_ok();
            Box::new(file)
        }
    };
    if plan.input.is_none() {
        io::copy(
            &mut input.by_ref().take(plan.bytes(plan.skip)),
            &mut io::sink(),
        )
        .map_err(|why| named(from, &why))?;
    }
    let file = match &plan.output {
        None => None,
        Some(name) => Some(open_output(plan, name).map_err(|why| named(to, &why))?),
    };
    let mut output: Box<dyn Write> = match &file {
        None => Box::new(Fd::STDOUT),
        Some(file) => Box::new(file),
    };
    let (mut full, mut partial, mut bytes) = (0, 0, 0);
    let mut block = vec![0; plan.block];
    while full + partial < plan.count {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            Err(why) => return Err(named(from, &why)),
        };
        output
            .write_all(&block[..count])
            .map_err(|why| named(to, &why))?;
        bytes += count as u64;
        if count == plan.block {
            full += 1
        } else {
            partial += 1
        }
    }
    drop(output);
    if let Some(file) = file.filter(|_| plan.syncs) {
        file.sync_all().map_err(|why| named(to, &why))?;
    }
    Ok((full, partial, bytes))
}

fn open_output(plan: &Plan, name: &str) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(name)?;
    let start = plan.bytes(plan.seek);
    if plan.truncates && file.metadata()?.is_file() {
        // What comes before the first written block stays.
        file.set_len(start)?;
    }
    if start > 0 {
        file.seek(SeekFrom::Start(start))?;
    }
    Ok(file)
}
