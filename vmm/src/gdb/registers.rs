//! A vCPU's registers in the order of `target.xml`, to and from KVM's structures.

use kvm_bindings::{kvm_fpu, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;

use super::xsave;

/// Registers of one vCPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registers {
    regs: kvm_regs,
    sregs: kvm_sregs,
    fpu: kvm_fpu,
}

const X87_BYTES: usize = 10;
impl Registers {
    /// Reads a parked vCPU.
    pub fn read(vcpu: &VcpuFd) -> Result<Self, kvm_ioctls::Error> {
        Ok(Self {
            regs: vcpu.get_regs()?,
            sregs: vcpu.get_sregs()?,
            fpu: xsave::read(vcpu)?,
        })
    }

    /// Writes a parked vCPU: only those groups that differ from what it has.
    pub fn write(&self, vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
        let now = Self::read(vcpu)?;
        let (mut wanted, mut changed) = (self.clone(), now.clone());
        // gdb knows of a segment's descriptor no more than the selector: the rest stays.
        for (to, from) in changed.segments().into_iter().zip(wanted.segments()) {
            to.selector = from.selector;
        }
        for (to, from) in changed.system().into_iter().zip(wanted.system()) {
            *to = *from;
        }
        if changed.sregs != now.sregs {
            vcpu.set_sregs(&changed.sregs)?;
        }
        if wanted.fpu != now.fpu {
            xsave::write(vcpu, &wanted.fpu)?;
        }
        vcpu.set_regs(&wanted.regs)
    }

    fn general(&mut self) -> [&mut u64; 17] {
        let r = &mut self.regs;
        [
            &mut r.rax, &mut r.rbx, &mut r.rcx, &mut r.rdx, &mut r.rsi, &mut r.rdi, &mut r.rbp,
            &mut r.rsp, &mut r.r8, &mut r.r9, &mut r.r10, &mut r.r11, &mut r.r12, &mut r.r13,
            &mut r.r14, &mut r.r15, &mut r.rip,
        ]
    }

    fn segments(&mut self) -> [&mut kvm_segment; 6] {
        let s = &mut self.sregs;
        [
            &mut s.cs, &mut s.ss, &mut s.ds, &mut s.es, &mut s.fs, &mut s.gs,
        ]
    }

    fn system(&mut self) -> [&mut u64; 8] {
        let s = &mut self.sregs;
        [
            &mut s.fs.base,
            &mut s.gs.base,
            &mut s.cr0,
            &mut s.cr2,
            &mut s.cr3,
            &mut s.cr4,
            &mut s.cr8,
            &mut s.efer,
        ]
    }

    /// fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop.
    fn x87_control(&self) -> [u32; 8] {
        let f = &self.fpu;
        let [ip_low, ip_high] = [f.last_ip as u32, (f.last_ip >> 32) as u32];
        let [dp_low, dp_high] = [f.last_dp as u32, (f.last_dp >> 32) as u32];
        let [control, status, tags] = [f.fcw, f.fsw, expand_tags(f.ftwx)].map(u32::from);
        let opcode = f.last_opcode.into();
        [
            control, status, tags, ip_high, ip_low, dp_high, dp_low, opcode,
        ]
    }

    fn set_x87_control(&mut self, words: [u32; 8]) {
        let f = &mut self.fpu;
        let [control, status, tags] = [words[0], words[1], words[2]].map(|word| word as u16);
        (f.fcw, f.fsw, f.ftwx) = (control, status, reduce_tags(tags));
        f.last_ip = u64::from(words[3]) << 32 | u64::from(words[4]);
        f.last_dp = u64::from(words[5]) << 32 | u64::from(words[6]);
        f.last_opcode = words[7] as u16;
    }

    fn decode(&mut self, bytes: &mut Bytes<'_>) -> Option<()> {
        for register in self.general() {
            *register = bytes.u64()?;
        }
        self.regs.rflags = bytes.u32()?.into();
        for segment in self.segments() {
            segment.selector = bytes.u32()? as u16;
        }
        for register in &mut self.fpu.fpr {
            register[..X87_BYTES].copy_from_slice(bytes.take(X87_BYTES)?);
        }
        let mut words = [0; 8];
        for word in &mut words {
            *word = bytes.u32()?;
        }
        self.set_x87_control(words);
        for register in &mut self.fpu.xmm {
            register.copy_from_slice(bytes.take(16)?);
        }
        self.fpu.mxcsr = bytes.u32()?;
        for register in self.system() {
            *register = bytes.u64()?;
        }
        Some(())
    }
}

/// FXSAVE keeps one bit a register (in use), gdb wants two (0 valid, 3 empty).
fn expand_tags(used: u8) -> u16 {
    (0..8)
        .map(|i| if used >> i & 1 != 0 { 0 } else { 3 << (2 * i) })
        .sum()
}

fn reduce_tags(tags: u16) -> u8 {
    (0..8)
        .map(|i| u8::from(tags >> (2 * i) & 3 != 3) << i)
        .sum()
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

impl gdbstub::arch::Registers for Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        self.regs.rip
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        let mut copy = self.clone();
        let mut put = |bytes: &[u8]| bytes.iter().for_each(|byte| write_byte(Some(*byte)));
        for register in copy.general() {
            put(&register.to_le_bytes());
        }
        put(&(self.regs.rflags as u32).to_le_bytes());
        for segment in copy.segments() {
            put(&u32::from(segment.selector).to_le_bytes());
        }
        for register in &self.fpu.fpr {
            put(&register[..X87_BYTES]);
        }
        for word in self.x87_control() {
            put(&word.to_le_bytes());
        }
        self.fpu.xmm.iter().for_each(|register| put(register));
        put(&self.fpu.mxcsr.to_le_bytes());
        for register in copy.system() {
            put(&register.to_le_bytes());
        }
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.decode(&mut Bytes(bytes)).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use gdbstub::arch::Registers as _;

    use super::*;

    /// Bytes of all registers in gdb's encoding.
    const LENGTH: usize = 17 * 8 + 4 + 6 * 4 + 8 * X87_BYTES + 8 * 4 + 16 * 16 + 4 + 8 * 8;

    #[test]
    fn encoding_is_as_long_as_the_description_says_and_reversible() {
        let sent: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
        let mut registers = Registers::default();
        registers.gdb_deserialize(&sent).unwrap();
        let mut bytes = Vec::new();
        registers.gdb_serialize(|byte| bytes.push(byte.unwrap()));
        assert_eq!(bytes.len(), LENGTH);
        let mut again = Registers::default();
        again.gdb_deserialize(&bytes).unwrap();
        assert_eq!(again, registers);
        assert_eq!(
            registers.pc(),
            u64::from_le_bytes(sent[128..136].try_into().unwrap())
        );
        assert!(registers.gdb_deserialize(&sent[1..]).is_err());
    }

    #[test]
    fn description_declares_the_same_number_of_bytes() {
        let description = include_str!("target.xml");
        let bits = |line: &str| {
            line.split("bitsize=\"")
                .nth(1)?
                .split('"')
                .next()?
                .parse::<usize>()
                .ok()
        };
        let total: usize = description.lines().filter_map(bits).sum();
        assert_eq!(total, LENGTH * 8);
    }

    #[test]
    fn tags_survive() {
        (0..=255).for_each(|used| assert_eq!(reduce_tags(expand_tags(used)), used));
        assert_eq!(expand_tags(0), 0xffff);
    }
}
