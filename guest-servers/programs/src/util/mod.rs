//! The utilities. A larger one has a file of its own; [`simple`], [`files`], [`disk`],
//! [`system`], [`launch`], [`columns`], [`bytes`] and [`ends`] hold several that belong
//! together; [`faults`] are those that exist to test the system. [`civil`], [`listing`],
//! [`regex`], [`signals`] and [`users`] are shared.

pub mod bigmap;
pub mod bytes;
pub mod cat;
pub mod chmod;
mod civil;
pub mod coherence;
pub mod columns;
pub mod copy;
pub mod date;
pub mod dd;
pub mod disk;
pub mod eat;
pub mod echo;
pub mod ends;
pub mod faults;
pub mod files;
pub mod find;
pub mod grep;
pub mod ipccheck;
pub mod kill;
pub mod launch;
pub mod limitcheck;
pub mod limits;
mod listing;
pub mod lockcheck;
pub mod ls;
pub mod mapfill;
pub mod memcheck;
pub mod printf;
pub mod priority;
mod regex;
pub mod robustcheck;
pub mod rtlat;
pub mod scaling;
pub mod seq;
pub mod sha256;
pub mod signals;
pub mod simple;
pub mod sort;
pub mod stat;
pub mod system;
pub mod test;
pub mod top;
mod users;
pub mod wc;
