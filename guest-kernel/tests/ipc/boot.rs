//! Nobody has said anything on the command line.

pub mod command_line {
    /// Who waits lends its priority.
    pub fn inherits(_: &str) -> bool {
        true
    }
}
