//! The monitor's own messages: standard error, one line each.

use std::io::Write;

use log::LevelFilter;

use crate::console::terminal;

/// Installs the logger. Lines end in CR LF while the terminal is raw. The rings' library is silent: what it complains
/// of is the guest's doing, and a guest is not to fill the host's log.
pub fn init(level: LevelFilter) {
    env_logger::Builder::new()
        .filter_level(level)
        .filter_module("virtio_queue", LevelFilter::Off)
        .format(|out, record| {
            let level = record.level().as_str().to_ascii_lowercase();
            write!(
                out,
                "vmm: {level}: {}{}",
                record.args(),
                terminal::line_end()
            )
        })
        .init();
}
