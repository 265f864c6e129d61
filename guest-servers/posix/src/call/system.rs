//! The system as a whole: `uname`, `sysinfo`, `prctl`, random bytes, `reboot`.

use crate::state::INIT;
use crate::user::SystemInfo;
use crate::{local, random, server, user};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::machine::RESTART;
use ferrix_posix::time::SECOND;
use ferrix_posix::{Errno, Frame, Result};
use ferrix_proto::control;
use ferrix_rt::clock::monotonic_ns;
use ferrix_rt::sys::{system, thread};
use linux_raw_sys::general as linux;
use linux_raw_sys::prctl::{PR_GET_DUMPABLE, PR_GET_NAME, PR_SET_NAME};
use linux_raw_sys::system::new_utsname;

/// The Linux whose system calls these are.
const RELEASE: &[u8] = b"6.1.0-ferrix";
const VERSION: &[u8] = concat!("Ferrix ", env!("CARGO_PKG_VERSION")).as_bytes();

pub fn uname(frame: &mut Frame) -> Result<u64> {
    let mut name: new_utsname = user::zeroed();
    let fields: [(&mut [core::ffi::c_char], &[u8]); 5] = [
        (&mut name.sysname, b"Linux"),
        (&mut name.nodename, b"ferrix"),
        (&mut name.release, RELEASE),
        (&mut name.version, VERSION),
        (&mut name.machine, b"x86_64"),
    ];
    for (place, text) in fields {
        for (place, byte) in place.iter_mut().zip(text) {
            *place = *byte as core::ffi::c_char;
        }
    }
    user::write(frame.rdi, &name).map(|()| 0)
}

pub fn sysinfo(frame: &mut Frame) -> Result<u64> {
    let stats = system::statistics()?;
    let bytes = |pages: u64| pages * PAGE_SIZE;
    let info = SystemInfo {
        uptime: monotonic_ns() / SECOND,
        // In units of 1 / 65536 (SI_LOAD_SHIFT).
        loads: stats.load.map(|load| load << 5),
        memory: [
            bytes(stats.total_pages),
            bytes(stats.free_pages),
            0,
            0,
            0,
            0,
        ],
        processes: stats.processes as u16,
        unit: 1,
        ..SystemInfo::default()
    };
    user::write(frame.rdi, &info).map(|()| 0)
}

pub fn prctl(frame: &mut Frame) -> Result<u64> {
    let [option, argument, ..] = frame.args();
    match option as u32 {
        PR_SET_NAME => {
            let name = thread_name(argument)?;
            local::update(|local| local.name = name);
            thread::set_name(0, name, 0)?;
            Ok(0)
        }
        PR_GET_NAME => user::write(argument, &local::get().name).map(|()| 0),
        PR_GET_DUMPABLE => Ok(1),
        _ => Err(Errno::EINVAL),
    }
}

/// Up to 15 bytes of a string.
fn thread_name(address: u64) -> Result<[u8; 16]> {
    let mut name = [0; 16];
    for (index, place) in name.iter_mut().enumerate().take(15) {
        *place = user::read::<u8>(address + index as u64)?;
        if *place == 0 {
            break;
        }
    }
    Ok(name)
}

/// Most bytes of one `getrandom`, as its manual has it.
const RANDOM_MAX: u64 = (1 << 25) - 1;

pub fn getrandom(frame: &mut Frame) -> Result<u64> {
    let [buffer, length, flags, ..] = frame.args();
    if flags & !u64::from(linux::GRND_NONBLOCK | linux::GRND_RANDOM | linux::GRND_INSECURE) != 0 {
        return Err(Errno::EINVAL);
    }
    user::check(buffer, length)?;
    let length = length.min(RANDOM_MAX);
    let mut done = 0;
    while done < length {
        let word = random::word().to_le_bytes();
        let taken = (length - done).min(word.len() as u64);
        user::write_bytes(buffer + done, &word[..taken as usize])?;
        done += taken;
    }
    Ok(length)
}

/// `reboot`: powering off ends the machine with the fourth argument as status (Ferrix's convention);
/// restarting resets it.
pub fn reboot(frame: &mut Frame) -> Result<u64> {
    let [magic, second, command, status, ..] = frame.args();
    let seconds = [
        linux::LINUX_REBOOT_MAGIC2,
        linux::LINUX_REBOOT_MAGIC2A,
        linux::LINUX_REBOOT_MAGIC2B,
        linux::LINUX_REBOOT_MAGIC2C,
    ];
    if magic as u32 != linux::LINUX_REBOOT_MAGIC1 || !seconds.contains(&(second as u32)) {
        return Err(Errno::EINVAL);
    }
    let status = match command as u32 {
        linux::LINUX_REBOOT_CMD_POWER_OFF => u64::from(status as u32 & 0xff),
        linux::LINUX_REBOOT_CMD_HALT => 0,
        linux::LINUX_REBOOT_CMD_RESTART => u64::from(RESTART),
        linux::LINUX_REBOOT_CMD_CAD_ON | linux::LINUX_REBOOT_CMD_CAD_OFF => return Ok(0),
        _ => return Err(Errno::EINVAL),
    };
    let init = *INIT.lock();
    server::ask(init, control::POWER_OFF, [status, 0, 0]).map(|_| 0)
}
