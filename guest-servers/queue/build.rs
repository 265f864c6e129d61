//! Passes the servers' linker script.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../rt/server.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-T{script}");
}
