//! `echo`: its arguments on one line.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use crate::cx::{Cx, Outcome};
use crate::text::{Flow, unescape};

/// `echo [-neE] [TEXT]...`. What does not look like these options is text.
pub fn run(cx: &mut Cx) -> Outcome {
    let is_option = |arg: &[u8]| {
        matches!(arg, [b'-', letters @ ..] if !letters.is_empty()
            && letters.iter().all(|letter| b"neE".contains(letter)))
    };
    let options = cx
        .args
        .iter()
        .take_while(|arg| is_option(arg.as_bytes()))
        .count();
    let (options, words) = cx.args.split_at(options);
    let letters = || options.iter().flat_map(|option| &option.as_bytes()[1..]);
    let escapes = letters().rfind(|&&letter| letter != b'n') == Some(&b'e');
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            cx.out.write_all(b" ")?;
        }
        if !escapes {
            cx.out.write_all(word.as_bytes())?;
            continue;
        }
        let (text, flow) = unescape(word.as_bytes());
        cx.out.write_all(&text)?;
        if flow == Flow::Stop {
            return Ok(0);
        }
    }
    if !letters().any(|&letter| letter == b'n') {
        cx.out.write_all(b"\n")?;
    }
    Ok(0)
}
