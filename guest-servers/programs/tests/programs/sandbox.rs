//! A directory with a link to the binary under every program's name, and a way to run scripts
//! in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_ferrix-programs");

/// Programs in `bin`, and a working directory `work`.
pub struct Sandbox {
    directory: tempfile::TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Self { directory };
        std::fs::create_dir(sandbox.path().join("bin")).unwrap();
        std::fs::create_dir(sandbox.work()).unwrap();
        let names = Command::new(BINARY).arg("--list").output().unwrap().stdout;
        for name in String::from_utf8(names).unwrap().lines() {
            std::os::unix::fs::symlink(BINARY, sandbox.path().join("bin").join(name)).unwrap();
        }
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// A command of ours with nothing but our programs to find.
    pub fn command(&self, name: &str) -> Command {
        let bin = self.path().join("bin");
        let mut command = Command::new(bin.join(name));
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", &bin)
            .env("HOME", "/home/me");
        command
    }

    pub fn script(&self, text: &str) -> Output {
        self.command("sh")
            .args(["-c", text])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `text` from standard input.
    pub fn piped(&self, text: &str) -> Output {
        let mut child = self
            .command("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// Standard output of a script.
    pub fn output(&self, text: &str) -> String {
        let output = self.script(text);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Compares the output of scripts with what is expected.
    pub fn expect(&self, table: &[(&str, &str)]) {
        for (text, expected) in table {
            let output = self.script(text);
            let errors = String::from_utf8_lossy(&output.stderr);
            let actual = String::from_utf8_lossy(&output.stdout);
            assert_eq!(
                actual, *expected,
                "script: {text}\nstandard error: {errors}"
            );
        }
    }

    /// Compares standard error and the status of scripts with what is expected.
    pub fn expect_errors(&self, table: &[(&str, &str, i32)]) {
        for (text, expected, status) in table {
            let output = self.script(text);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(errors, *expected, "script: {text}");
            assert_eq!(output.status.code(), Some(*status), "script: {text}");
        }
    }
}
