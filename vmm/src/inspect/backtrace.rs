//! Frames of a stopped vCPU, by frame pointers.

use kvm_bindings::kvm_regs;

use super::View;

/// A longer chain is a loop or not a chain.
const MOST_FRAMES: usize = 64;

/// Addresses of the callers, innermost first; the first is where the vCPU stands.
pub fn frames(view: &View<'_>, regs: &kvm_regs) -> Vec<u64> {
    let mut frames = vec![regs.rip];
    let mut frame_pointer = regs.rbp;
    while frames.len() < MOST_FRAMES && frame_pointer != 0 && frame_pointer.is_multiple_of(8) {
        let (Some(next), Some(return_address)) = (
            view.read_u64(frame_pointer),
            view.read_u64(frame_pointer.wrapping_add(8)),
        ) else {
            break;
        };
        if return_address == 0 {
            break;
        }
        frames.push(return_address);
        // Stacks grow downward: callers lie above.
        if next <= frame_pointer {
            break;
        }
        frame_pointer = next;
    }
    frames
}
