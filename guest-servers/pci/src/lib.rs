//! PCI as far as virtio devices need it: enumeration, base address registers, capabilities.
//!
//! Pure: configuration space is whatever implements [`Config`]; init puts the machine's behind it, the
//! tests a fake. What functions say is not trusted: lists may loop, offsets may lie outside.
//!
//! | module | what | specification |
//! |---|---|---|
//! | [`config`] | access to configuration space, the registers of a header | PCI 3.0, 6.1 |
//! | [`scan`] | which functions there are | PCI 3.0, 6.1; bridges: PCI-to-PCI bridge 1.2, 3.2 |
//! | [`bar`] | base address registers: where, how large; giving addresses to those that have none | PCI 3.0, 6.2.5 |
//! | [`capability`] | the list of capabilities | PCI 3.0, 6.7 |
//! | [`virtio`] | a virtio function's structures and its MSI-X table | virtio 1.2, 4.1; PCI 3.0, 6.8.2 |

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bar;
pub mod capability;
pub mod config;
pub mod scan;
pub mod virtio;

#[cfg(test)]
mod testing;

pub use bar::Window;
pub use config::{Config, Location};
pub use virtio::{Found, Problem, find_virtio};
