//! The kernel's command line.

use std::fmt::Write;

use ferrix_machine::cmdline::{COMMAND, VIRTIO_MMIO_DEVICE, is_plain};

use crate::config::{VmConfig, Windows};

/// The user's words, then the command, then the device windows.
pub fn build(config: &VmConfig) -> String {
    let mut words = Vec::new();
    if !config.append.is_empty() {
        words.push(config.append.clone());
    }
    if let Some(command) = &config.command {
        words.push(format!("{COMMAND}={}", percent_encode(command)));
    }
    if config.machine.announce.has_words() {
        let windows = config.machine.model.windows();
        words.extend((0..config.devices()).map(|index| {
            let (base, gsi) = (windows.address(index), windows.gsi(index));
            let size = Windows::STRIDE >> 10;
            format!("{VIRTIO_MMIO_DEVICE}={size}K@{base:#x}:{gsi}")
        }));
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
