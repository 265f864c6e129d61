//! The monitor's ends of the guest's output and input.
//!
//! [`input`] reads and [`out`] writes without ever blocking, [`log_sink`] buffers the UART's bytes for standard error,
//! [`terminal`] makes a terminal raw and restores it, [`signals`] brings signals to the event loop.

pub mod escape;
pub mod input;
pub mod log_sink;
pub mod out;
#[expect(
    unsafe_code,
    reason = "signalfd has no safe wrapper among our dependencies"
)]
pub mod signals;
pub mod target;
pub mod terminal;
