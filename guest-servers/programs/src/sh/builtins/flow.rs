//! Builtins that change what runs next.

use super::{misuse, number};
use crate::cx::cause;
use crate::sh::ast::Bytes;
use crate::sh::quote::quote;
use crate::sh::state::{Flow, Shell, Unwind};
use crate::sys::signal;
use crate::text::os;
use crate::util::signals;

/// `exit [STATUS]`
pub fn exit(shell: &mut Shell, words: &[Bytes]) -> Flow {
    match status(shell, words) {
        Some(status) => Err(Unwind::Exit(status)),
        None => misuse(
            shell,
            words,
            &format!("{}: is no number", words[1].escape_ascii()),
        ),
    }
}

/// `return [STATUS]`
pub fn return_call(shell: &mut Shell, words: &[Bytes]) -> Flow {
    if shell.calls == 0 {
        return misuse(shell, words, "only works in a function or a sourced file");
    }
    match status(shell, words) {
        Some(status) => Err(Unwind::Return(status)),
        None => misuse(
            shell,
            words,
            &format!("{}: is no number", words[1].escape_ascii()),
        ),
    }
}

/// The status that a word names, or the last command's.
fn status(shell: &Shell, words: &[Bytes]) -> Option<i32> {
    match words.get(1) {
        Some(word) => number::<i32>(word).map(|status| status & 0xff),
        None => Some(shell.status),
    }
}

/// `break [LEVELS]`
pub fn break_loop(shell: &mut Shell, words: &[Bytes]) -> Flow {
    leave(shell, words, Unwind::Break)
}

/// `continue [LEVELS]`
pub fn continue_loop(shell: &mut Shell, words: &[Bytes]) -> Flow {
    leave(shell, words, Unwind::Continue)
}

fn leave(shell: &mut Shell, words: &[Bytes], how: fn(usize) -> Unwind) -> Flow {
    let levels = words.get(1).map_or(Some(1), |word| number::<usize>(word));
    match levels {
        Some(1..) if shell.loops == 0 => Ok(0),
        Some(levels @ 1..) => Err(how(levels.min(shell.loops))),
        _ => misuse(
            shell,
            words,
            &format!("{}: is no count", words[1].escape_ascii()),
        ),
    }
}

/// `eval WORD...`
pub fn eval(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let line = shell.line;
    shell.status = 0;
    let flow = shell.run_text(&words[1..].join(&b' '));
    shell.line = line;
    flow
}

/// `exec PROGRAM [ARGUMENT]...`
pub fn exec(shell: &mut Shell, words: &[Bytes]) -> Flow {
    if words.len() == 1 {
        return Ok(0);
    }
    let controlled = shell.terminal.is_some();
    if controlled {
        crate::sh::terminal::reset_signals();
    }
    let status = shell.become_program(&words[1..])?;
    match shell.options.interactive {
        true => {
            shell.resume_control();
            Ok(status)
        }
        false => Err(Unwind::Exit(status)),
    }
}

/// `. FILE [ARGUMENT]...`
pub fn source(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let Some(name) = words.get(1) else {
        return misuse(shell, words, "needs a file");
    };
    let in_path = shell
        .candidates(name)
        .into_iter()
        .map(std::fs::read)
        .find_map(Result::ok);
    let text = match in_path.map_or_else(|| std::fs::read(os(name)), Ok) {
        Ok(text) => text,
        Err(why) => {
            let name = String::from_utf8_lossy(name);
            return Err(shell.fail(&format!(".: {name}: {}", cause(&why))));
        }
    };
    let positional = match words.len() {
        2 => None,
        _ => Some(std::mem::replace(
            &mut shell.positional,
            words[2..].to_vec(),
        )),
    };
    shell.calls += 1;
    shell.status = 0;
    let flow = shell.run_text(&text);
    shell.calls -= 1;
    if let Some(positional) = positional {
        shell.positional = positional;
    }
    match flow {
        Err(Unwind::Return(status)) => Ok(status),
        other => other,
    }
}

/// `trap [COMMAND SIGNAL...]`; the command `-` gives the signal its default effect back.
pub fn trap(shell: &mut Shell, words: &[Bytes]) -> Flow {
    if words.len() == 1 {
        for (&number, command) in &shell.traps {
            let name = if number == 0 {
                "EXIT"
            } else {
                signals::name(number)
            };
            println!(
                "trap -- {} {name}",
                String::from_utf8_lossy(&quote(command))
            );
        }
        return Ok(0);
    }
    let first = usize::from(words[1] == b"--") + 1;
    let (command, names) = match &words[first..] {
        [only] => (b"-".to_vec(), std::slice::from_ref(only)),
        [command, names @ ..] => (command.clone(), names),
        [] => return Ok(0),
    };
    let mut status = 0;
    for name in names {
        let text = String::from_utf8_lossy(name);
        let known = if text == "EXIT" {
            Some(0)
        } else {
            signals::number(&text)
        };
        let Some(number) = known else {
            status = misuse(shell, words, &format!("{text}: is no signal"))?;
            continue;
        };
        set_trap(shell, number, &command);
    }
    Ok(status)
}

fn set_trap(shell: &mut Shell, number: i32, command: &Bytes) {
    // A signal that cannot be caught, such as KILL, has a trap that never runs.
    match command.as_slice() {
        b"-" => {
            shell.traps.remove(&number);
            if number == libc::SIGINT && shell.options.interactive {
                let _ = signal::catch(number);
            } else if number != 0 {
                signal::restore_default(number);
            }
            return;
        }
        b"" if number != 0 => drop(signal::ignore(number)),
        _ if number != 0 => drop(signal::catch(number)),
        _ => {}
    }
    shell.traps.insert(number, command.clone());
}
