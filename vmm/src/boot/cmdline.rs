//! The kernel's command line.

use std::fmt::Write;

use ferrix_machine::cmdline::{COMMAND, VIRTIO_MMIO_DEVICE, is_plain};
use ferrix_machine::virtio_mmio::{BASE, FIRST_GSI, STRIDE};

use crate::config::VmConfig;

/// The user's words, then the command, then the device windows.
pub fn build(config: &VmConfig, devices: usize) -> String {
    let mut words = Vec::new();
    if !config.append.is_empty() {
        words.push(config.append.clone());
    }
    if let Some(command) = &config.command {
        words.push(format!("{COMMAND}={}", percent_encode(command)));
    }
    for index in 0..devices {
        let base = BASE + STRIDE * index as u64;
        let gsi = FIRST_GSI + index as u32;
        words.push(format!(
            "{VIRTIO_MMIO_DEVICE}={}K@{base:#x}:{gsi}",
            STRIDE >> 10
        ));
    }
    words.join(" ")
}

/// Makes one word of any text (see [`ferrix_machine::cmdline::COMMAND`]).
pub fn percent_encode(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            word.push(byte as char);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(word, "%{byte:02X}");
        }
    }
    word
}
