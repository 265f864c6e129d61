//! The `vfs` server: names. It resolves paths over mounts, hands out sessions of the servers that
//! hold the files, and is out of the data path afterwards. Pipes and the generated files are its own.
//!
//! | file | what |
//! |---|---|
//! | `server/mod.rs` | state, sessions, dispatch |
//! | `server/remote.rs` | a file system behind a server such as `ext2` |
//! | `server/open.rs` | opening, creating |
//! | `server/names.rs` | making, removing, moving names |
//! | `server/attributes.rs` | `stat`, `chmod`, `access` and kin |
//! | `server/mount.rs` | mounting and unmounting |
//! | `server/memory.rs` | file systems in memory, files without names |
//! | `server/objects.rs` | the memory objects that hold their bytes |
//! | `server/regular.rs` | regular files in memory as open files |
//! | `server/shm.rs` | System V shared memory |
//! | `server/files.rs` | directories and generated files as open files |
//! | `server/pipes.rs` | pipes as open files |
//! | `server/facts.rs` | what `/proc` tells |

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod server;

use ferrix_rt::log;
use ferrix_rt::proto::startup::Startup;

ferrix_rt::server!(main);

fn main(startup: &'static Startup) {
    let result = server::Ports::find(startup).and_then(|ports| {
        let mut vfs = server::Vfs::new(&ports);
        vfs.mount_boot(startup);
        ferrix_rt::service::run(ports.own, &mut vfs).map_err(i32::from)
    });
    if let Err(errno) = result {
        log!("vfs", "ends: errno {errno}");
    }
}
