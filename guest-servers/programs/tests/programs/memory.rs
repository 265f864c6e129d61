//! What `memcheck` asks of a system holds on Linux: so it is right to ask it of Ferrix.

use crate::sandbox::Sandbox;

/// All groups but the check that mounts a file system.
const GROUPS: &[&str] = &[
    "map", "remap", "advise", "sync", "core", "lock", "file.a", "file.d", "file.l", "file.s",
    "file.t", "memfd", "disk", "shm",
];

#[test]
fn linux_passes_the_memory_checks() {
    let sandbox = Sandbox::new();
    let output = sandbox.command("memcheck").args(GROUPS).output().unwrap();
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    assert!(text.lines().count() > 30 && text.lines().all(|line| line.ends_with(" ok")));
}
