//! The monitor's own messages: standard error, one line each.

use std::io::Write;

use log::LevelFilter;

use crate::console::terminal;

/// Installs the logger. Lines end in CR LF while the terminal is raw.
pub fn init(level: LevelFilter) {
    env_logger::Builder::new()
        .filter_level(level)
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
