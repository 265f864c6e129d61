//! I/O ports in user mode, and who owns the log's UART.

use core::arch::asm;

use ferrix_abi::Error;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag};
use ferrix_abi::machine::{LOG_LINE, PORTS_END};
use ferrix_abi::signal::number::SIGSEGV;
use ferrix_rt::sys::{ipc, system, thread};

use crate::support::{
    Outcome, Test, equal, fails, holds, resource, spawn, start_thread, status_of, succeeded,
};

pub const TESTS: &[Test] = &[
    ("granted_ports_work", granted_ports_work),
    ("others_have_none", others_have_none),
    (
        "a_closed_handle_takes_them_back",
        a_closed_handle_takes_them_back,
    ),
    ("threads_share_them", threads_share_them),
    ("one_owner_at_a_time", one_owner_at_a_time),
    ("wrong_ranges_and_rights", wrong_ranges_and_rights),
    ("the_uart_brings_the_log", the_uart_brings_the_log),
];

/// The UART's scratch register: whoever has it disturbs nobody.
const SCRATCH: u16 = 0x3ff;
const UART: u16 = 0x3f8;

fn read(port: u16) -> u8 {
    let value;
    // SAFETY: an instruction that reads a device's register, or faults.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}

fn write(port: u16, value: u8) {
    // SAFETY: an instruction that writes a register that means nothing, or faults.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}

fn scratch() -> Result<Handle, Error> {
    system::ports_grant(SCRATCH, 1, resource())
}

/// A child that touches a port ends by SIGSEGV.
fn faults(body: impl FnOnce() -> Outcome) -> Outcome {
    equal(status_of(spawn(body)?)?, SIGSEGV)
}

fn granted_ports_work() -> Outcome {
    scratch()?;
    for value in [0x5a, 0xa5] {
        write(SCRATCH, value);
        // Another thread's turn in between closes the ports, and the next access opens them.
        thread::yield_now();
        succeeded(spawn(|| Ok(()))?)?;
        equal(read(SCRATCH), value)?;
    }
    Ok(())
}

fn others_have_none() -> Outcome {
    scratch()?;
    write(SCRATCH, 1);
    // A child does not inherit the handle.
    faults(|| {
        read(SCRATCH);
        Ok(())
    })?;
    equal(read(SCRATCH), 1)?;
    faults(|| {
        system::ports_grant(SCRATCH - 2, 1, resource())?;
        read(SCRATCH - 2);
        read(SCRATCH - 1);
        Ok(())
    })
}

fn a_closed_handle_takes_them_back() -> Outcome {
    faults(|| {
        let ports = scratch()?;
        write(SCRATCH, 7);
        ipc::close(ports)?;
        read(SCRATCH);
        Ok(())
    })?;
    // The next one can have them, also after a sudden end.
    let ports = scratch()?;
    equal(read(SCRATCH), 7)?;
    ipc::close(ports)?;
    scratch().map(drop)?;
    Ok(())
}

fn threads_share_them() -> Outcome {
    scratch()?;
    write(SCRATCH, 3);
    start_thread(|| {
        equal(read(SCRATCH), 3)?;
        write(SCRATCH, 4);
        Ok(())
    })?
    .join()?;
    equal(read(SCRATCH), 4)
}

fn one_owner_at_a_time() -> Outcome {
    let first = system::ports_grant(0x3fc, 3, resource())?;
    fails(system::ports_grant(0x3fe, 2, resource()), Error::Busy)?;
    fails(system::ports_grant(0x3f9, 4, resource()), Error::Busy)?;
    let second = scratch()?;
    // Two ranges at once; with one closed, the other still works.
    write(SCRATCH, 9);
    read(0x3fd);
    ipc::close(first)?;
    equal(read(SCRATCH), 9)?;
    fails(ipc::duplicate(second, Rights::all()), Error::BadHandle)
}

fn wrong_ranges_and_rights() -> Outcome {
    for (first, count) in [
        (0x80, 0),
        (PORTS_END, 1),
        (PORTS_END - 1, 2),
        (u16::MAX, u16::MAX),
    ] {
        let refused = system::ports_grant(first, count, resource());
        fails(refused, Error::Invalid)?;
    }
    let none = ipc::duplicate(resource(), Rights::IRQ | Rights::PHYSICAL)?;
    fails(system::ports_grant(SCRATCH, 1, none), Error::NotPermitted)?;
    fails(system::log_take(&mut [0; 8], none), Error::NotPermitted)?;
    fails(
        system::ports_grant(SCRATCH, 1, Handle(9999)),
        Error::BadHandle,
    )
}

/// Who has the UART is told of the log's text, and gets it, whole and in order.
fn the_uart_brings_the_log() -> Outcome {
    let port = ipc::port_create()?;
    system::irq_bind(LOG_LINE, port, 5, resource())?;
    let uart = system::ports_grant(UART, 8, resource())?;
    system::log("one\n");
    let told = ipc::receive(port, Tag::SHORT)?;
    holds(told.kind == Kind::NOTIFY, "a notification")?;
    equal(told.badge, 5)?;
    system::log("two\n");
    let mut text = [0; 64];
    let count = system::log_take(&mut text, resource())?;
    equal(&text[..count], b"one\ntwo\n")?;
    equal(system::log_take(&mut text, resource())?, 0)?;
    ipc::close(uart)?;
    equal(system::log_take(&mut text, resource())?, 0)
}
