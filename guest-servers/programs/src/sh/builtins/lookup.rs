//! Builtins that ask what a name means.

use std::os::unix::fs::PermissionsExt;

use super::{find, misuse};
use crate::sh::ast::Bytes;
use crate::sh::run::NOT_FOUND;
use crate::sh::state::{Flow, Shell};
use crate::sh::wait::Ground;

/// Words of the grammar.
const RESERVED: [&[u8]; 16] = [
    b"!", b"{", b"}", b"case", b"do", b"done", b"elif", b"else", b"esac", b"fi", b"for", b"if",
    b"in", b"then", b"until", b"while",
];

/// The program that `name` means, if there is one.
fn program(shell: &Shell, name: &[u8]) -> Option<String> {
    let runs = |path: &std::ffi::OsString| {
        std::fs::metadata(path)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let path = shell.candidates(name).into_iter().find(runs)?;
    Some(path.to_string_lossy().into_owned())
}

/// `type NAME...`
pub fn type_of(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let mut status = 0;
    for word in &words[1..] {
        let name = String::from_utf8_lossy(word);
        if RESERVED.contains(&word.as_slice()) {
            println!("{name} is a word of the grammar");
        } else if shell.functions.contains_key(word) {
            println!("{name} is a function");
        } else if find(word).is_some() {
            println!("{name} is a shell builtin");
        } else if let Some(path) = program(shell, word) {
            println!("{name} is {path}");
        } else {
            shell.complain(&format!("type: {name}: not found"));
            status = 1;
        }
    }
    Ok(status)
}

/// `command [-v] NAME [ARGUMENT]...`: what a name means, or the command instead of a function.
pub fn command(shell: &mut Shell, words: &[Bytes]) -> Flow {
    match words.get(1).map(Vec::as_slice) {
        None => Ok(0),
        Some(b"-v") => {
            let mut status = 0;
            for word in &words[2..] {
                let known = shell.functions.contains_key(word)
                    || find(word).is_some()
                    || RESERVED.contains(&word.as_slice());
                match program(shell, word) {
                    _ if known => println!("{}", String::from_utf8_lossy(word)),
                    Some(path) => println!("{path}"),
                    None => status = NOT_FOUND,
                }
            }
            Ok(status)
        }
        Some(option) if option.starts_with(b"-") && option != b"--" => misuse(
            shell,
            words,
            &format!("{}: unknown option", option.escape_ascii()),
        ),
        Some(first) => {
            let rest = &words[1 + usize::from(first == b"--")..];
            match rest.first().map(|name| find(name)) {
                None => Ok(0),
                Some(Some(builtin)) => (builtin.run)(shell, rest),
                Some(None) => run_program(shell, rest),
            }
        }
    }
}

fn run_program(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let id = shell.jobs.add(words.join(&b' '));
    shell.start(id, Ground::Fore, |shell| {
        let flow = shell.become_program(words);
        shell.end(flow)
    })?;
    shell.finish(id, Ground::Fore)
}
