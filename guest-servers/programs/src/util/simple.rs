//! Programs of a line or two each.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Fail, Outcome};
use crate::sys::fd::Fd;
use crate::sys::{fs, system};
use crate::text::base_name;

/// `true`
pub fn true_(_: &mut Cx) -> Outcome {
    Ok(0)
}

/// `false`
pub fn false_(_: &mut Cx) -> Outcome {
    Ok(1)
}

/// `pwd`
pub fn pwd(cx: &mut Cx) -> Outcome {
    let current = std::env::current_dir().map_err(|why| Fail::on(".", &why))?;
    cx.out.write_all(current.as_os_str().as_bytes())?;
    cx.out.write_all(b"\n")?;
    Ok(0)
}

/// `sync`
pub fn sync(_: &mut Cx) -> Outcome {
    fs::sync();
    Ok(0)
}

/// `clear`: home, then erase the screen.
pub fn clear(cx: &mut Cx) -> Outcome {
    cx.out.write_all(b"\x1b[H\x1b[2J")?;
    Ok(0)
}

/// `nproc`
pub fn nproc(cx: &mut Cx) -> Outcome {
    writeln!(cx.out, "{}", system::processors())?;
    Ok(0)
}

/// `yes [TEXT]...`
pub fn yes(cx: &mut Cx) -> Outcome {
    let words: Vec<&[u8]> = cx.args.iter().map(|arg| arg.as_bytes()).collect();
    let mut line = if words.is_empty() {
        b"y".to_vec()
    } else {
        words.join(&b' ')
    };
    line.push(b'\n');
    loop {
        cx.out.write_all(&line)?;
    }
}

/// `tty`
pub fn tty(cx: &mut Cx) -> Outcome {
    if !Fd::STDIN.is_terminal() {
        cx.out.write_all(b"not a tty\n")?;
        return Ok(1);
    }
    // Where there is no /proc the console is the only terminal.
    let name = std::fs::read_link("/proc/self/fd/0").unwrap_or_else(|_| "/dev/console".into());
    writeln!(cx.out, "{}", name.display())?;
    Ok(0)
}

/// `basename PATH [SUFFIX]`
pub fn basename(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    let (path, suffix) = match opts.operands.as_slice() {
        [path] => (path, None),
        [path, suffix] => (path, Some(suffix)),
        _ => return Err(Fail::usage("needs a path")),
    };
    let name = base_name(path).as_bytes();
    let cut = suffix.and_then(|suffix| name.strip_suffix(suffix.as_bytes()));
    cx.out
        .write_all(cut.filter(|cut| !cut.is_empty()).unwrap_or(name))?;
    cx.out.write_all(b"\n")?;
    Ok(0)
}

/// `dirname PATH...`
pub fn dirname(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    if opts.operands.is_empty() {
        return Err(Fail::usage("needs a path"));
    }
    for path in &opts.operands {
        let trimmed = path.as_bytes().trim_ascii_end();
        let without = |text: &[u8]| {
            text.iter()
                .rposition(|&byte| byte != b'/')
                .map_or(0, |last| last + 1)
        };
        let end = without(trimmed);
        let slash = trimmed[..end].iter().rposition(|&byte| byte == b'/');
        let parent = match slash {
            None if end == 0 && !trimmed.is_empty() => b"/",
            None => b".".as_slice(),
            Some(slash) => match without(&trimmed[..slash]) {
                0 => b"/",
                end => &trimmed[..end],
            },
        };
        cx.out.write_all(parent)?;
        cx.out.write_all(b"\n")?;
    }
    Ok(0)
}

/// `readlink PATH...`
pub fn readlink(cx: &mut Cx) -> Outcome {
    let opts = cx.options("f")?;
    if opts.operands.is_empty() {
        return Err(Fail::usage("needs a path"));
    }
    cx.each(&opts.operands, |cx, path| {
        let target = match opts.has('f') {
            true => std::fs::canonicalize(path)?,
            false => std::fs::read_link(path)?,
        };
        cx.out.write_all(target.as_os_str().as_bytes())?;
        cx.out.write_all(b"\n")
    })
}

/// `tee [-a] [FILE]...`
pub fn tee(cx: &mut Cx) -> Outcome {
    use std::io::Read;
    let opts = cx.options("a")?;
    let mut files = Vec::new();
    for name in &opts.operands {
        let mut options = std::fs::OpenOptions::new();
        options
            .create(true)
            .write(true)
            .append(opts.has('a'))
            .truncate(!opts.has('a'));
        match options.open(name) {
            Ok(file) => files.push((name.clone(), file)),
            Err(why) => cx.warn(name, &why),
        }
    }
    let mut buffer = vec![0; 32 * 1024];
    let mut input = Fd::STDIN;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(cx.status()),
            Ok(count) => count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(Fail::on("standard input", &why)),
        };
        cx.out.write_all(&buffer[..count])?;
        cx.out.flush()?;
        for (name, file) in &mut files {
            if let Err(why) = file.write_all(&buffer[..count]) {
                cx.warn(name, &why);
            }
        }
    }
}

/// `sleep SECONDS...`; fractions and the units `s`, `m`, `h`, `d` are understood.
pub fn sleep(cx: &mut Cx) -> Outcome {
    let opts = cx.options("")?;
    if opts.operands.is_empty() {
        return Err(Fail::usage("needs a number of seconds"));
    }
    let mut total = 0.0;
    for text in &opts.operands {
        total += seconds(&text.to_string_lossy())
            .ok_or_else(|| Fail::usage(format!("{}: is no time", text.display())))?;
    }
    std::thread::sleep(std::time::Duration::from_secs_f64(total));
    Ok(0)
}

/// `1.5`, `2m` in seconds.
pub fn seconds(text: &str) -> Option<f64> {
    let (digits, unit) = match text.char_indices().last()? {
        (end, 's') => (&text[..end], 1.0),
        (end, 'm') => (&text[..end], 60.0),
        (end, 'h') => (&text[..end], 3600.0),
        (end, 'd') => (&text[..end], 86400.0),
        _ => (text, 1.0),
    };
    let plain = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = digits.parse().ok().filter(|_| plain)?;
    Some((value * unit).min(1e9))
}
