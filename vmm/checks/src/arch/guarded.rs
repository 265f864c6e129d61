//! Instructions that may fault: each returns its exception instead.
//!
//! For the boot CPU only. On a machine that offers a feature it does not have, the instruction may
//! also end the machine: the check that runs then is the last one named.

use core::arch::asm;
use core::sync::atomic::Ordering::SeqCst;

use super::trap::{Exception, RECOVERY, take_exception};

/// Runs instructions with the place after them as where to go on after an exception.
macro_rules! attempt {
    ([$($line:literal),*] $($operand:tt)*) => {{
        asm!(
            "lea {recover}, [rip + 77f]",
            "mov [rip + {recovery}], {recover}",
            $($line,)*
            "77:",
            recover = out(reg) _,
            recovery = sym RECOVERY,
            $($operand)*
        );
        RECOVERY.store(0, SeqCst);
        match take_exception() {
            None => Ok(()),
            Some(exception) => Err(exception),
        }
    }};
}

type Attempt<T> = Result<T, Exception>;

/// XGETBV of XCR0.
pub fn xgetbv() -> Attempt<u64> {
    let (low, high): (u32, u32);
    // SAFETY: reads a register.
    unsafe { attempt!(["xgetbv"] inout("eax") 0 => low, out("edx") high, in("ecx") 0) }?;
    Ok(u64::from(high) << 32 | u64::from(low))
}

/// XSETBV of XCR0.
pub fn xsetbv(value: u64) -> Attempt<()> {
    // SAFETY: no vector register holds anything.
    unsafe {
        attempt!(["xsetbv"] in("eax") value as u32, in("edx") (value >> 32) as u32, in("ecx") 0)
    }
}

/// XSAVE of everything enabled to an area in the arena, 64-byte aligned; XRSTOR from there.
pub fn xsave_and_restore(area: u64) -> Attempt<()> {
    // SAFETY: the area is in the arena; the registers get their own values back.
    unsafe {
        attempt!(["xsave64 [{area}]", "xrstor64 [{area}]"]
            in("eax") u32::MAX, in("edx") u32::MAX, area = in(reg) area)
    }
}

/// Writes CR4.
pub fn set_cr4(value: u64) -> Attempt<()> {
    // SAFETY: the checks change protection features only, which their own pages do not violate.
    unsafe { attempt!(["mov cr4, {value}"] value = in(reg) value) }
}

/// Reads a word of memory.
pub fn load(address: u64) -> Attempt<u64> {
    let mut value = 0u64;
    // SAFETY: if it is not allowed, it faults.
    unsafe { attempt!(["mov {value}, [{at}]"] value = inout(reg) value, at = in(reg) address) }?;
    Ok(value)
}

/// STAC, then a load, then CLAC.
pub fn load_with_access(address: u64) -> Attempt<u64> {
    let mut value = 0u64;
    // SAFETY: as for `load`.
    unsafe {
        attempt!(["stac", "mov {value}, [{at}]", "clac"]
            value = inout(reg) value, at = in(reg) address)
    }?;
    Ok(value)
}

/// Calls code at an address, which must be a RET there.
pub fn call(address: u64) -> Attempt<()> {
    // SAFETY: a RET comes back; an exception instead leaves the return address on the stack.
    unsafe {
        attempt!(["mov {stack}, rsp", "call {at}", "77:", "mov rsp, {stack}"]
            stack = out(reg) _, at = in(reg) address)
    }
}

/// WRFSBASE, then RDFSBASE.
pub fn fsbase(value: u64) -> Attempt<u64> {
    let read;
    // SAFETY: compiled code uses no thread-local storage.
    unsafe {
        attempt!(["wrfsbase {value}", "rdfsbase {read}"] value = in(reg) value, read = out(reg) read)
    }?;
    Ok(read)
}

/// RDTSCP: the counter and IA32_TSC_AUX.
pub fn rdtscp() -> Attempt<(u64, u32)> {
    let (low, high, aux): (u32, u32, u32);
    // SAFETY: reads a counter.
    unsafe { attempt!(["rdtscp"] out("eax") low, out("edx") high, out("ecx") aux) }?;
    Ok((u64::from(high) << 32 | u64::from(low), aux))
}

/// POPCNT.
pub fn popcnt(value: u64) -> Attempt<u64> {
    let mut count = value;
    // SAFETY: arithmetic.
    unsafe { attempt!(["popcnt {value}, {value}"] value = inout(reg) count) }?;
    Ok(count)
}

/// LZCNT.
pub fn lzcnt(value: u64) -> Attempt<u64> {
    let mut count = value;
    // SAFETY: arithmetic.
    unsafe { attempt!(["lzcnt {value}, {value}"] value = inout(reg) count) }?;
    Ok(count)
}

/// MOVBE from memory in the arena.
pub fn movbe(address: u64) -> Attempt<u64> {
    let mut value = 0u64;
    // SAFETY: a load.
    unsafe { attempt!(["movbe {value}, [{at}]"] value = inout(reg) value, at = in(reg) address) }?;
    Ok(value)
}

/// ANDN, of BMI1.
pub fn andn(first: u64, second: u64) -> Attempt<u64> {
    let result;
    // SAFETY: arithmetic.
    unsafe {
        attempt!(["andn {result}, {first}, {second}"]
            result = out(reg) result, first = in(reg) first, second = in(reg) second)
    }?;
    Ok(result)
}

/// RORX, of BMI2.
pub fn rorx(value: u64) -> Attempt<u64> {
    let result;
    // SAFETY: arithmetic.
    unsafe {
        attempt!(["rorx {result}, {value}, 8"] result = out(reg) result, value = in(reg) value)
    }?;
    Ok(result)
}

/// ADCX with a clear carry.
pub fn adcx(first: u64, second: u64) -> Attempt<u64> {
    let mut sum = first;
    // SAFETY: arithmetic.
    unsafe {
        attempt!(["clc", "adcx {sum}, {second}"] sum = inout(reg) sum, second = in(reg) second)
    }?;
    Ok(sum)
}

/// RDRAND until it has something, at most ten times.
pub fn rdrand() -> Attempt<Option<u64>> {
    for _ in 0..10 {
        let (value, there): (u64, u8);
        // SAFETY: reads a generator.
        unsafe {
            attempt!(["rdrand {value}", "setc {there}"] value = out(reg) value, there = out(reg_byte) there)
        }?;
        if there != 0 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// CMPXCHG16B on a zero pair in the arena: whether it exchanged.
pub fn cmpxchg16b(address: u64, low: u64, high: u64) -> Attempt<bool> {
    let equal: u8;
    // SAFETY: the pair lies in the arena; RBX is kept by hand, as the compiler may use it.
    unsafe {
        attempt!(["mov r8, rbx", "mov rbx, rsi", "lock cmpxchg16b [rdi]", "77:", "mov rbx, r8",
            "sete r9b"]
            out("r8") _, out("r9b") equal, in("rsi") low, in("rdi") address,
            inout("rax") 0u64 => _, inout("rdx") 0u64 => _, in("rcx") high)
    }?;
    Ok(equal != 0)
}

/// INVPCID: everything, global pages too (type 2).
pub fn invpcid_all(descriptor: u64) -> Attempt<()> {
    // SAFETY: forgetting translations changes none.
    unsafe { attempt!(["invpcid {kind}, [{at}]"] kind = in(reg) 2u64, at = in(reg) descriptor) }
}

/// Reads CR3 and writes it back with another address-space number.
pub fn set_pcid(pcid: u64) -> Attempt<()> {
    // SAFETY: the same tables under another number.
    unsafe {
        attempt!(["mov {root}, cr3", "and {root}, ~0xfff", "or {root}, {pcid}", "mov cr3, {root}"]
            root = out(reg) _, pcid = in(reg) pcid)
    }
}

/// MONITOR on a word of the arena, without MWAIT.
pub fn monitor(address: u64) -> Attempt<()> {
    // SAFETY: arms a watch.
    unsafe { attempt!(["monitor"] in("rax") address, in("ecx") 0, in("edx") 0) }
}
