//! Details of an exit that kvm-ioctls does not hand out.

use kvm_ioctls::VcpuFd;

/// The suberror of the `KVM_EXIT_INTERNAL_ERROR` that was just returned.
pub fn internal_suberror(fd: &mut VcpuFd) -> u32 {
    // SAFETY: the exit reason says that `internal` is the union's member; any bits are a valid u32.
    unsafe { fd.get_kvm_run().__bindgen_anon_1.internal.suberror }
}
