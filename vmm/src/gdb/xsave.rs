//! x87 and SSE registers, in the XSAVE area (Intel SDM volume 1, chapter 13).
//!
//! Not by `KVM_GET_FPU` and `KVM_SET_FPU`: these leave MXCSR out, and what they set is lost where the guest has not
//! used SSE yet.
#![expect(unsafe_code, reason = "KVM_SET_XSAVE is of no fixed size")]

use kvm_bindings::{kvm_fpu, kvm_xsave};
use kvm_ioctls::{Error, VcpuFd};

/// Words of the area: FCW and FSW, FTW and FOP, RIP, RDP, MXCSR, ST0 to ST7, XMM0 to XMM15, and
/// which parts are in use.
const FCW: usize = 0;
const FTW: usize = 1;
const RIP: usize = 2;
const RDP: usize = 4;
const MXCSR: usize = 6;
const ST: usize = 8;
const XMM: usize = 40;
const XSTATE_BV: usize = 128;
/// x87 and SSE are in use.
const BOTH: u32 = 3;
/// Of a register of either kind, which has 16 bytes.
const WORDS: usize = 4;

/// Reads them.
pub fn read(vcpu: &VcpuFd) -> Result<kvm_fpu, Error> {
    Ok(decode(&vcpu.get_xsave()?.region))
}

/// Writes them; what else is in the area stays.
pub fn write(vcpu: &VcpuFd, fpu: &kvm_fpu) -> Result<(), Error> {
    let mut area: kvm_xsave = vcpu.get_xsave()?;
    encode(fpu, &mut area.region);
    // SAFETY: the area is as large as KVM takes it to be: no guest has features with larger ones.
    unsafe { vcpu.set_xsave(&area) }
}

fn decode(area: &[u32]) -> kvm_fpu {
    let wide = |at: usize| u64::from(area[at]) | u64::from(area[at + 1]) << 32;
    let register = |at: usize| {
        let mut bytes = [0; 16];
        for (bytes, word) in bytes.chunks_mut(WORDS).zip(&area[at..]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    };
    kvm_fpu {
        fcw: area[FCW] as u16,
        fsw: (area[FCW] >> 16) as u16,
        ftwx: area[FTW] as u8,
        last_opcode: (area[FTW] >> 16) as u16,
        last_ip: wide(RIP),
        last_dp: wide(RDP),
        mxcsr: area[MXCSR],
        fpr: std::array::from_fn(|index| register(ST + WORDS * index)),
        xmm: std::array::from_fn(|index| register(XMM + WORDS * index)),
        ..Default::default()
    }
}

fn encode(fpu: &kvm_fpu, area: &mut [u32]) {
    area[FCW] = u32::from(fpu.fcw) | u32::from(fpu.fsw) << 16;
    area[FTW] = u32::from(fpu.ftwx) | u32::from(fpu.last_opcode) << 16;
    for (at, wide) in [(RIP, fpu.last_ip), (RDP, fpu.last_dp)] {
        (area[at], area[at + 1]) = (wide as u32, (wide >> 32) as u32);
    }
    area[MXCSR] = fpu.mxcsr;
    let registers = fpu.fpr.iter().chain(&fpu.xmm).flatten().copied();
    let bytes: Vec<u8> = registers.collect();
    for (word, bytes) in area[ST..].iter_mut().zip(bytes.chunks(WORDS)) {
        *word = bytes
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    area[XSTATE_BV] |= BOTH;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let before: Vec<u32> = (0..1024u32)
            .map(|word| word.wrapping_mul(0x0101_0101))
            .collect();
        let (mut area, fpu) = (before.clone(), decode(&before));
        assert_eq!(fpu.mxcsr, 0x0606_0606);
        assert_eq!(fpu.xmm[15][12..], [0x67; 4], "word 103");
        area[..XSTATE_BV].fill(0);
        encode(&fpu, &mut area);
        assert_eq!(decode(&area), fpu);
        assert_eq!(area[XSTATE_BV], before[XSTATE_BV] | BOTH);
        assert_eq!(area[XSTATE_BV + 1..], before[XSTATE_BV + 1..]);
    }
}
