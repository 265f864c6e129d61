//! The `ext2` server: file systems on block devices, by inode number.
//!
//! | file | what |
//! |---|---|
//! | `disk.rs` | the block device behind the library: requests to `blk` |
//! | `service.rs` | mounts, open files, dispatch |
//! | `names.rs` | what `vfs` asks: names and attributes |
//! | `files.rs` | what programs ask on an open file |
//! | `locking.rs` | locks on open files |
//! | `objects.rs` | file contents as memory objects, for `exec` |
//! | `live.rs` | files that programs map: their pages are supplied and written back |
//! | `transfer.rs` | bytes between files and windows |
//! | `convert.rs` | the library's types as the protocol's |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod convert;
mod disk;
mod files;
mod live;
mod locking;
mod names;
mod objects;
mod service;
mod transfer;

use ferrix_abi::handle::Handle;
use ferrix_rt::log;
use ferrix_rt::proto::startup::{Startup, name};
use ferrix_rt::sys::memory;

ferrix_rt::server!(main);

fn main(startup: &'static Startup) {
    let port = startup.handle(name::SELF).map(Handle).unwrap_or_default();
    let mut server = service::Server::new(port);
    if let Err(error) = memory::watch(port, 0) {
        log!("ext2", "will not be told when memory is short: {error:?}");
    }
    if let Err(error) = ferrix_rt::service::run(port, &mut server) {
        log!("ext2", "cannot receive on its port: {error:?}");
    }
}
