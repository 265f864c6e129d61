//! Boots handmade kernels on `/dev/kvm`: the log, the exit port, the ways to end.

use crate::common::{Code, boot, have_kvm, stderr};

const HLT_FOREVER: [u8; 3] = [0xf4, 0xeb, 0xfd];

#[test]
fn log_goes_to_standard_error_and_status_to_the_caller() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default().print("hello\nworld").exit(7).kernel();
    let output = boot(kernel.path(), &[]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(stderr(&output), "hello\nworld");
    assert!(
        output.stdout.is_empty(),
        "standard output is the guest's console only"
    );
}

#[test]
fn only_the_low_byte_of_the_status_counts_and_a_panic_has_its_own() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default().exit(0x1203).kernel();
    assert_eq!(boot(kernel.path(), &[]).status.code(), Some(3));
    let kernel = Code::default().exit(0x8000_00fd).kernel();
    let output = boot(kernel.path(), &[]);
    assert_eq!(output.status.code(), Some(253));
    assert!(stderr(&output).contains("kernel panicked"));
}

#[test]
fn reset_line_ends_the_machine() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default()
        .out(0x64, 0xfe, 8)
        .raw(&HLT_FOREVER)
        .kernel();
    assert_eq!(boot(kernel.path(), &[]).status.code(), Some(0));
}

#[test]
fn timeout_ends_an_idle_guest_that_costs_nothing() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default().raw(&[0xfa]).raw(&HLT_FOREVER).kernel();
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    let output = boot(kernel.path(), &["--timeout", "1", "--cpus", "2"]);
    let after = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    assert_eq!(output.status.code(), Some(124), "{}", stderr(&output));
    assert!(stderr(&output).contains("--timeout"));
    assert!(after - before < 10);
}

#[test]
fn a_triple_fault_is_reported_as_a_crash() {
    if !have_kvm() {
        return;
    }
    // lidt with limit 0; then an undefined instruction.
    let lidt = [0x0f, 0x01, 0x1d, 0x00, 0x08, 0x10, 0x00];
    let kernel = Code::default().raw(&lidt).raw(&[0x0f, 0x0b]).kernel();
    let output = boot(kernel.path(), &[]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    for part in [
        "triple fault",
        "CPU 0",
        "rax ",
        "cr3 ",
        "code at rip: 0f 0b",
        "backtrace:",
    ] {
        assert!(
            stderr(&output).contains(part),
            "{part} in {}",
            stderr(&output)
        );
    }
}

#[test]
fn statistics_are_one_json_object() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default()
        .out(0xf0, 1, 8)
        .print("x\n")
        .out(0xf0, 5, 8)
        .exit(0)
        .kernel();
    let output = boot(kernel.path(), &["--stats"]);
    let text = stderr(&output);
    let stats: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let milestones = stats["milestones"].as_array().unwrap();
    let names: Vec<_> = milestones
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["vmm_ready", "kernel_entry", "prompt"]);
    let times: Vec<_> = milestones
        .iter()
        .map(|m| m["us"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{stats}");
    assert!(stats["exits"]["io_out"].as_u64().unwrap() >= 5, "{stats}");
    assert_eq!(stats["status"], 0);
    assert_eq!(stats["vcpus"].as_array().unwrap().len(), 1);
}

/// mov edx, exit port; out dx, eax
const EXIT_WITH_EAX: [u8; 6] = [0xba, 0xf4, 0, 0, 0, 0xef];
/// mov eax, 0x40000010; cpuid
const TIMING: [u8; 7] = [0xb8, 0x10, 0, 0, 0x40, 0x0f, 0xa2];

#[test]
fn cpuid_tells_the_frequencies() {
    if !have_kvm() {
        return;
    }
    // mov eax, ebx: 1 000 000 kHz.
    let kernel = Code::default()
        .raw(&TIMING)
        .raw(&[0x89, 0xd8])
        .raw(&EXIT_WITH_EAX)
        .kernel();
    assert_eq!(
        boot(kernel.path(), &[]).status.code(),
        Some(1_000_000 & 0xff)
    );
    // mov eax, ecx: the lowest letter of the magic.
    let kernel = Code::default()
        .raw(&TIMING)
        .raw(&[0x89, 0xc8])
        .raw(&EXIT_WITH_EAX)
        .kernel();
    assert_eq!(boot(kernel.path(), &[]).status.code(), Some(b'F'.into()));
    // shr eax, 16: the TSC runs at 66 MHz or more.
    let kernel = Code::default()
        .raw(&TIMING)
        .raw(&[0xc1, 0xe8, 16])
        .raw(&EXIT_WITH_EAX)
        .kernel();
    assert!(boot(kernel.path(), &[]).status.code() > Some(0));
}

#[test]
fn the_second_cpu_starts_on_init_and_sipi() {
    if !have_kvm() {
        return;
    }
    let store = |code: Code, address: u32, value: u32| {
        code.raw(&[0xc7, 0x05])
            .raw(&address.to_le_bytes())
            .raw(&value.to_le_bytes())
    };
    // At 0x8000, in real mode: mov dx, exit port; mov al, 9; out dx, al; hlt.
    let mut code = store(Code::default(), 0x8000, 0xb000_f4ba);
    code = store(code, 0x8004, 0x00f4_ee09);
    code = store(code, 0xfee0_00f0, 0x1ff);
    for (register, value) in [
        (0x310, 1 << 24),
        (0x300, 0x4500),
        (0x310, 1 << 24),
        (0x300, 0x4608),
    ] {
        code = store(code, 0xfee0_0000 + register, value);
    }
    let kernel = code.raw(&HLT_FOREVER).kernel();
    let output = boot(kernel.path(), &["--cpus", "2"]);
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
}

#[test]
fn a_bzimage_starts_in_64_bit_mode_with_its_zero_page() {
    if !have_kvm() {
        return;
    }
    // cmp dword [rsi + 0x202], "HdrS"; je over an exit with status 1.
    let found = [&[0x81, 0xbe, 2, 2, 0, 0][..], b"HdrS", &[0x74, 11]].concat();
    // mov rax, 9 << 32; shr rax, 32; mov edx, 0xf4; out dx, eax
    let wide = [
        &[0x48, 0xb8, 0, 0, 0, 0, 9, 0, 0, 0, 0x48, 0xc1, 0xe8, 32][..],
        &[0xba, 0xf4, 0, 0, 0, 0xef],
    ]
    .concat();
    let image = Code::default().raw(&found).exit(1).raw(&wide).bzimage();
    let output = boot(image.path(), &[]);
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
}

#[test]
fn acpi_soft_off_is_an_end_with_status_0() {
    if !have_kvm() {
        return;
    }
    let kernel = Code::default().out(0xf8, 5 << 2 | 0x20, 8);
    let output = boot(kernel.exit(1).kernel().path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
