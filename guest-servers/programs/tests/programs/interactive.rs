//! The shell at a terminal: prompt, ^C, ^Z, jobs.

use rexpect::session::{PtySession, spawn_command};

use crate::sandbox::Sandbox;

/// Long enough for a loaded machine.
const PATIENCE_MS: u64 = 10_000;

/// What the default prompt ends with, for root and for others.
const PROMPT: &str = "ferrix:[^\n]*[#$] ";

fn start(sandbox: &Sandbox) -> PtySession {
    let mut session = spawn_command(sandbox.command("sh"), Some(PATIENCE_MS)).unwrap();
    session.exp_regex(PROMPT).unwrap();
    session
}

/// Types a line, which is not echoed, and returns what appears before the next prompt.
fn ask(session: &mut PtySession, line: &str) -> String {
    session.send_line(line).unwrap();
    let before = session.exp_regex(PROMPT).unwrap().0;
    before
        .replace('\r', "")
        .replacen(&format!("{line}\n"), "", 1)
}

#[test]
fn commands_and_unfinished_lines() {
    let sandbox = Sandbox::new();
    let mut session = start(&sandbox);
    assert_eq!(ask(&mut session, "echo hello | wc -c"), "6\n");
    session.send_line("if true").unwrap();
    session.exp_string("> ").unwrap();
    session.send_line("then echo $((6 * 7)); fi").unwrap();
    session.exp_string("42\r\n").unwrap();
    session.exp_regex(PROMPT).unwrap();
    assert_eq!(ask(&mut session, "nosuch"), "sh: nosuch: not found\n");
    assert_eq!(
        ask(&mut session, "echo $? )"),
        "sh: line 1: syntax error: unexpected `)'\n"
    );
    assert_eq!(
        ask(&mut session, "cd /; pwd; echo ${x?gone}; echo no"),
        "/\nsh: x: gone\n"
    );
    end(&mut session);
}

/// Ends the shell, which like any interactive one does not heed SIGTERM.
fn end(session: &mut PtySession) {
    session.send_line("exit 7").unwrap();
    let status = session.process().wait().unwrap();
    assert!(format!("{status:?}").ends_with(", 7)"), "{status:?}");
}

#[test]
fn interrupt_ends_the_foreground_job_only() {
    let sandbox = Sandbox::new();
    let mut session = start(&sandbox);
    assert!(ask(&mut session, "sleep 60 &").starts_with("[1] "));
    session.send_line("echo ready; sleep 50").unwrap();
    session.exp_string("ready\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    session.send_control('c').unwrap();
    session.exp_regex(PROMPT).unwrap();
    assert_eq!(
        ask(&mut session, "echo $?; jobs"),
        "130\n[1]+ Running      sleep 60\n"
    );
    session.send_line("while true; do :; done").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    session.send_control('c').unwrap();
    session.exp_regex(PROMPT).unwrap();
    session.send("echo dropped").unwrap();
    session.send_control('c').unwrap();
    session.exp_regex(PROMPT).unwrap();
    assert_eq!(ask(&mut session, "kill %1; wait; echo done"), "done\n");
    end(&mut session);
}

#[test]
fn stopped_jobs_go_on() {
    let sandbox = Sandbox::new();
    let mut session = start(&sandbox);
    session
        .send_line("echo ready; sleep 1 | cat; echo after")
        .unwrap();
    session.exp_string("ready\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    session.send_control('z').unwrap();
    session
        .exp_string("[1]+ Stopped      sleep 1 | cat")
        .unwrap();
    session.exp_regex(PROMPT).unwrap();
    assert_eq!(
        ask(&mut session, "jobs"),
        "[1]+ Stopped      sleep 1 | cat\n"
    );
    assert_eq!(ask(&mut session, "bg"), "[1] sleep 1 | cat &\n");
    assert_eq!(ask(&mut session, "fg"), "sleep 1 | cat\n");
    assert_eq!(ask(&mut session, "jobs; echo $?"), "0\n");
    assert_eq!(
        ask(
            &mut session,
            "stty size > /dev/null && tty > f; grep -c / f"
        ),
        "1\n"
    );
    end(&mut session);
}
