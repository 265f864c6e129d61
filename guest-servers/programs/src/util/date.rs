//! `date`: the time.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::civil::Civil;
use crate::cx::{Cx, Fail, Outcome};

/// `date [-u] [-d @SECONDS] [+FORMAT]`; always UTC.
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("ud:")?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (seconds, nanoseconds) = match opts.value('d') {
        None => (now.as_secs() as i64, now.subsec_nanos()),
        Some(text) => {
            let text = text.to_string_lossy();
            let seconds = text
                .strip_prefix('@')
                .and_then(|digits| digits.parse().ok());
            let usage = || Fail::usage(format!("-d {text}: only @SECONDS is understood"));
            (seconds.ok_or_else(usage)?, 0)
        }
    };
    let format = match opts.operands.as_slice() {
        [] => "%a %b %e %H:%M:%S %Z %Y".to_string(),
        [format] if format.to_string_lossy().starts_with('+') => {
            format.to_string_lossy()[1..].to_string()
        }
        [other, ..] => {
            let other = other.display();
            return Err(Fail::usage(format!(
                "{other}: is no format; formats begin with +"
            )));
        }
    };
    writeln!(
        cx.out,
        "{}",
        Civil::at(seconds).format(&format, seconds, nanoseconds)
    )?;
    Ok(0)
}
