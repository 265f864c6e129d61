//! The boot image. On the host this is an empty program: the kernel's tests are the library's.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
extern crate ferrix_kernel as _;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the kernel runs on bare metal: scripts/boot");
}
