use super::*;

const FP_SIZE: usize = fp_state::LEGACY;

fn registers() -> Frame {
    Frame {
        rsp: 0x10_0000,
        rip: 0x40_1000,
        rax: 7,
        r11: 5,
        rcx: 6,
        rflags: 0x246,
        ..Frame::default()
    }
}

#[test]
fn the_layout_is_linux_s() {
    use core::mem::offset_of;
    assert_eq!(offset_of!(SignalFrame, context), 8 + 40);
    assert_eq!(offset_of!(SignalFrame, mask), 8 + 296);
    assert_eq!(offset_of!(SignalFrame, info) as u64, INFO_OFFSET);
    assert_eq!(offset_of!(SigContext, eflags), 17 * 8);
    assert_eq!(offset_of!(SigContext, fpstate), 184);
}

#[test]
fn the_frame_spares_the_red_zone_and_is_aligned() {
    let place = place(
        &registers(),
        &Action::default(),
        &AltStack::default(),
        FP_SIZE,
    )
    .unwrap();
    assert!(place.fp + FP_SIZE as u64 <= 0x10_0000 - 128);
    assert_eq!(place.fp % 64, 0);
    assert_eq!(place.frame % 16, 8);
    assert!(place.frame + size_of::<SignalFrame>() as u64 <= place.fp);
}

#[test]
fn the_alternate_stack_is_used_once() {
    let alternate = AltStack {
        base: 0x20_0000,
        size: 0x2000,
        ..AltStack::default()
    };
    let action = Action {
        flags: linux::SA_ONSTACK.into(),
        ..Action::default()
    };
    let first = place(&registers(), &action, &alternate, FP_SIZE).unwrap();
    assert!(alternate.contains(first.frame));
    let nested = Frame {
        rsp: first.frame,
        ..registers()
    };
    let second = place(&nested, &action, &alternate, FP_SIZE).unwrap();
    assert!(alternate.contains(second.frame) && second.frame < first.frame);
    let tiny = AltStack {
        size: 512,
        ..alternate
    };
    assert_eq!(place(&registers(), &action, &tiny, FP_SIZE), None);
}

#[test]
fn every_register_comes_back() {
    let mut before = Frame {
        r8: 1,
        r9: 2,
        r10: 3,
        r12: 4,
        r13: 8,
        r14: 9,
        r15: 10,
        ..registers()
    };
    (before.rdi, before.rsi, before.rbp, before.rbx, before.rdx) = (11, 12, 13, 14, 15);
    let spot = Placement {
        frame: 0xff_0008,
        fp: 0xff_1000,
        extended: false,
    };
    let built = build(
        &before,
        &Action::default(),
        &SignalInfo::default(),
        3,
        &AltStack::default(),
        spot,
    );
    let after = restore(&built.context);
    assert_eq!(Frame { call: 0, ..after }, Frame { call: 0, ..before });
    assert_eq!((built.mask, built.context.fpstate), (3, spot.fp));
}

#[test]
fn the_handler_gets_its_three_arguments() {
    let mut frame = registers();
    let action = Action {
        handler: 0x40_2000,
        ..Action::default()
    };
    enter(
        &mut frame,
        &action,
        11,
        Placement {
            frame: 0x8,
            fp: 0,
            extended: false,
        },
    );
    assert_eq!((frame.rip, frame.rsp, frame.rdi), (0x40_2000, 8, 11));
    assert_eq!((frame.rsi, frame.rdx, frame.rax), (8 + 312, 16, 0));
}

#[test]
fn siginfo_by_kind() {
    let child = SignalInfo {
        signo: 17,
        code: 1,
        pid: 9,
        uid: 1,
        value: 3 << 8,
        ..SignalInfo::default()
    };
    assert_eq!(siginfo(&child)[..4], [17, 1, 9 | 1 << 32, 3]);
    let fault = SignalInfo {
        signo: 11,
        code: 1,
        address: 0xdead,
        trap: 14,
        ..SignalInfo::default()
    };
    assert_eq!(siginfo(&fault)[2], 0xdead);
    let queued = SignalInfo {
        signo: 34,
        code: -1,
        pid: 4,
        value: 77,
        ..SignalInfo::default()
    };
    assert_eq!(siginfo(&queued)[2..4], [4, 77]);
    assert_eq!(siginfo(&queued)[1], 0xffff_ffff);
}
