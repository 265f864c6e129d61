//! The handlers of Linux's system calls: each takes the program's registers and returns what RAX gets.

pub mod attributes;
pub mod control;
pub mod descriptors;
pub mod exec;
pub mod exec_stack;
pub mod futex;
pub mod identity;
pub mod io;
pub mod io_vectors;
pub mod limits;
pub mod locks;
pub mod memory;
pub mod memory_advice;
pub mod mq;
pub mod names;
pub mod paths;
pub mod poll;
pub mod process;
pub mod scheduling;
pub mod shm;
pub mod signals;
pub mod system;
pub mod threads;
pub mod time;
pub mod wait;
