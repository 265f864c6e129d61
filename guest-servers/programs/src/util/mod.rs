//! The utilities, one file each; [`simple`] holds those of a few lines, [`faults`] the ones
//! that exist to test the system. [`regex`] and [`signals`] are shared.

pub mod cat;
pub mod echo;
pub mod kill;
pub mod printf;
pub mod seq;
pub mod signals;
pub mod simple;
pub mod test;
