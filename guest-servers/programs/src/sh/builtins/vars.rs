//! Builtins about variables, options and the working directory.

use std::io::Write;
use std::os::unix::ffi::OsStringExt;

use super::{misuse, number};
use crate::cx::{self, cause};
use crate::sh::ast::Bytes;
use crate::sh::dollar::is_name;
use crate::sh::quote::quote;
use crate::sh::state::{Flow, Shell};
use crate::sh::vars::Variable;
use crate::sys::process;
use crate::text::os;

/// `cd [DIRECTORY|-]`
pub fn cd(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let back = words.get(1).is_some_and(|word| word == b"-");
    let target = match words.get(1) {
        Some(_) if back => shell.variables.get(b"OLDPWD").map(<[u8]>::to_vec),
        Some(word) => Some(word.clone()),
        None => shell.variables.get(b"HOME").map(<[u8]>::to_vec),
    };
    let Some(target) = target else {
        return misuse(
            shell,
            words,
            if back {
                "OLDPWD is not set"
            } else {
                "HOME is not set"
            },
        );
    };
    if let Err(why) = std::env::set_current_dir(os(&target)) {
        shell.complain(&format!(
            "cd: {}: {}",
            String::from_utf8_lossy(&target),
            cause(&why)
        ));
        return Ok(1);
    }
    let old = shell.variables.get(b"PWD").unwrap_or_default().to_vec();
    let new = std::env::current_dir().map(|path| path.into_os_string().into_vec());
    let new = new.unwrap_or(target);
    if back {
        println!("{}", String::from_utf8_lossy(&new));
    }
    shell.assign(b"OLDPWD", old)?;
    shell.assign(b"PWD", new)?;
    Ok(0)
}

/// `export [-p] [NAME[=VALUE]]...`
pub fn export(shell: &mut Shell, words: &[Bytes]) -> Flow {
    declare(shell, words, |variable| &mut variable.exported)
}

/// `readonly [-p] [NAME[=VALUE]]...`
pub fn readonly(shell: &mut Shell, words: &[Bytes]) -> Flow {
    declare(shell, words, |variable| &mut variable.read_only)
}

/// Gives variables an attribute, or lists those that have it.
fn declare(shell: &mut Shell, words: &[Bytes], attribute: fn(&mut Variable) -> &mut bool) -> Flow {
    let names = &words[1..];
    if names.is_empty() || names[0] == b"-p" {
        let mut out = cx::stdout();
        for (name, variable) in shell.variables.iter() {
            if *attribute(&mut variable.clone()) {
                let line = assignment(name, variable.value.as_deref());
                let _ = out.write_all(&[&words[0], b" ".as_slice(), &line, b"\n"].concat());
            }
        }
        return Ok(i32::from(out.flush().is_err()));
    }
    let mut status = 0;
    for word in names {
        let Some((name, value)) = split(word) else {
            let message = format!("{}: is no name of a variable", word.escape_ascii());
            status = misuse(shell, words, &message)?;
            continue;
        };
        if let Some(value) = value {
            shell.assign(name, value.to_vec())?;
        }
        *attribute(shell.variables.attributes(name)) = true;
    }
    Ok(status)
}

/// `NAME[=VALUE]` as its parts.
fn split(word: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (name, value) = match word.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    };
    is_name(name).then_some((name, value))
}

fn assignment(name: &[u8], value: Option<&[u8]>) -> Bytes {
    match value {
        Some(value) => [name, b"=", &quote(value)].concat(),
        None => name.to_vec(),
    }
}

/// `local NAME[=VALUE]...`
pub fn local(shell: &mut Shell, words: &[Bytes]) -> Flow {
    for word in &words[1..] {
        let Some((name, value)) = split(word) else {
            let message = format!("{}: is no name of a variable", word.escape_ascii());
            return misuse(shell, words, &message);
        };
        if let Err(error) = shell.variables.make_local(name) {
            return misuse(shell, words, &error);
        }
        if let Some(value) = value {
            shell.assign(name, value.to_vec())?;
        }
    }
    Ok(0)
}

/// `unset [-f|-v] NAME...`
pub fn unset(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let functions = words.get(1).is_some_and(|word| word == b"-f");
    let variables = words.get(1).is_some_and(|word| word == b"-v");
    for name in &words[1 + usize::from(functions || variables)..] {
        if functions {
            shell.functions.remove(name);
        } else if let Err(error) = shell.variables.unset(name) {
            return misuse(shell, words, &error);
        }
    }
    Ok(0)
}

/// `set [-+efux] [--] [ARGUMENT]...`
pub fn set(shell: &mut Shell, words: &[Bytes]) -> Flow {
    if words.len() == 1 {
        let mut out = cx::stdout();
        for (name, variable) in shell.variables.iter() {
            if let Some(value) = &variable.value {
                let _ = out.write_all(&[&assignment(name, Some(value)), b"\n".as_slice()].concat());
            }
        }
        return Ok(i32::from(out.flush().is_err()));
    }
    let mut rest = &words[1..];
    while let [first, tail @ ..] = rest {
        let (on, letters) = match first.as_slice() {
            b"--" => {
                shell.positional = tail.to_vec();
                return Ok(0);
            }
            [b'-', letters @ ..] if !letters.is_empty() => (true, letters),
            [b'+', letters @ ..] if !letters.is_empty() => (false, letters),
            _ => {
                shell.positional = rest.to_vec();
                return Ok(0);
            }
        };
        for &letter in letters {
            match shell.options.by_letter(letter) {
                Some(option) => *option = on,
                None => {
                    let message = format!("-{}: unknown option", char::from(letter));
                    return misuse(shell, words, &message);
                }
            }
        }
        rest = tail;
    }
    Ok(0)
}

/// `shift [COUNT]`
pub fn shift(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let count = words.get(1).map_or(Some(1), |word| number::<usize>(word));
    match count {
        Some(count) if count <= shell.positional.len() => {
            shell.positional.drain(..count);
            Ok(0)
        }
        _ => misuse(shell, words, "cannot shift by that much"),
    }
}

/// `umask [MASK]`, octal.
pub fn umask(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let Some(word) = words.get(1) else {
        let mask = process::set_umask(0);
        process::set_umask(mask);
        println!("{mask:04o}");
        return Ok(0);
    };
    let text = String::from_utf8_lossy(word);
    match u32::from_str_radix(&text, 8) {
        Ok(mask @ 0..=0o777) => {
            process::set_umask(mask);
            Ok(0)
        }
        _ => misuse(shell, words, &format!("{text}: is no octal mask up to 777")),
    }
}
