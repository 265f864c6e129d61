//! `cat`: files one after the other.

use std::io::{self, Read, Write};

use crate::cx::{Cx, Fail, Outcome, inputs, open};

/// `cat [-n] [FILE]...`
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("nu")?;
    let mut numbers = opts.has('n').then_some(Numbers {
        next: 1,
        line_starts: true,
    });
    for name in inputs(&opts.operands) {
        let mut file = match open(&name) {
            Ok(file) => file,
            Err(why) => {
                cx.warn(&name, &why);
                continue;
            }
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => {
                    cx.warn(&name, &why);
                    break;
                }
            };
            let wrote = match &mut numbers {
                Some(numbers) => numbers.write(&buffer[..count], &mut cx.out),
                None => cx.out.write_all(&buffer[..count]),
            };
            // What was read is shown before more is waited for.
            wrote.and_then(|()| cx.out.flush()).map_err(Fail::Output)?;
        }
    }
    Ok(cx.status())
}

/// Numbers lines across files and reads.
struct Numbers {
    next: u64,
    line_starts: bool,
}

impl Numbers {
    fn write(&mut self, text: &[u8], out: &mut impl Write) -> io::Result<()> {
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if self.line_starts {
                write!(out, "{:6}\t", self.next)?;
                self.next += 1;
            }
            out.write_all(line)?;
            self.line_starts = line.ends_with(b"\n");
        }
        Ok(())
    }
}
