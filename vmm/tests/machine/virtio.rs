//! A driver of a few dozen instructions: the wiring of windows, notifications and interrupts.

use crate::common::{Code, boot, have_kvm, stderr};

/// The console is device 0 when there is no disk.
const WINDOW: u32 = 0xd000_0000;
const QUEUE: u32 = 0x20_0000;
const AVAILABLE: u32 = QUEUE + 0x1000;
const USED: u32 = QUEUE + 0x2000;
const TEXT: u32 = QUEUE + 0x3000;
const VECTOR: u32 = 0x50;

/// mov dword [address], value
fn store(code: Code, address: u32, value: u32) -> Code {
    code.raw(&[0xc7, 0x05])
        .raw(&address.to_le_bytes())
        .raw(&value.to_le_bytes())
}

/// Waits until `dword [address] & mask` is not zero: test dword [address], mask; jz back.
fn wait(code: Code, address: u32, mask: u32) -> Code {
    code.raw(&[0xf7, 0x05])
        .raw(&address.to_le_bytes())
        .raw(&mask.to_le_bytes())
        .raw(&[0x74, 0xf4])
}

/// Routes the device's line to a vector that stays pending, since interrupts are off.
fn route_interrupt(code: Code, line: u32) -> Code {
    let code = store(code, 0xfee0_00f0, 0x1ff);
    let code = store(code, 0xfec0_0000, 0x10 + 2 * line);
    let code = store(code, 0xfec0_0010, VECTOR);
    let code = store(code, 0xfec0_0000, 0x11 + 2 * line);
    store(code, 0xfec0_0010, 0)
}

#[test]
fn console_output_by_notification_and_interrupt() {
    if !have_kvm() {
        return;
    }
    let mut code = route_interrupt(Code::default(), 5);
    for (index, word) in b"hi there".chunks(4).enumerate() {
        let word = u32::from_le_bytes(word.try_into().unwrap());
        code = store(code, TEXT + 4 * index as u32, word);
    }
    // Descriptor 0: the text. Available ring: one entry.
    for (offset, value) in [(0, TEXT), (8, 8)] {
        code = store(code, QUEUE + offset, value);
    }
    for (register, value) in [
        (0x70, 0),
        (0x70, 1),
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
        (0x30, 1),
        (0x38, 16),
        (0x80, QUEUE),
        (0x90, AVAILABLE),
        (0xa0, USED),
        (0x44, 1),
        (0x70, 15),
    ] {
        code = store(code, WINDOW + register, value);
    }
    code = store(code, AVAILABLE, 1 << 16);
    code = store(code, WINDOW + 0x50, 1);
    code = wait(code, USED, 0xffff_0000);
    // Bit of the vector in the local APIC's interrupt request register.
    code = wait(code, 0xfee0_0200 + VECTOR / 32 * 0x10, 1 << (VECTOR % 32));
    code = wait(code, WINDOW + 0x60, 1);
    let trace = tempfile::NamedTempFile::new().unwrap();
    let traced = ["--stats", "--trace", trace.path().to_str().unwrap()];
    let output = boot(code.exit(5).kernel().path(), &traced);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(output.stdout, b"hi there");
    let text = stderr(&output);
    let stats: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(stats["console"]["bytes_out"], 8);
    assert!(
        stats["console"]["notifications"].as_u64().unwrap() >= 1,
        "{stats}"
    );
    let writes = stats["exits"]["mmio_write"].as_u64().unwrap();
    assert_eq!(writes, 13, "the notification itself is no exit: {stats}");
    check_trace(trace.path());
}

/// Spans of the guest and of exits on the vCPU's row, the interrupt and a milestone.
fn check_trace(file: &std::path::Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let events: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let row = events.iter().find(|event| event["args"]["name"] == "vcpu0");
    let row = &row.unwrap()["tid"];
    let has = |kind: &str, name: &str| {
        let mut found = events.iter().filter(|event| event["cat"] == kind);
        found.any(|event| event["name"] == name)
    };
    assert!(has("exit", "mmio_write 0xd0000070, 4 bytes: 0x1"), "{text}");
    assert!(has("exit", "io_out 0xf4, 4 bytes: 0x5"));
    assert!(has("interrupt", "interrupt") && has("milestone", "vmm_ready"));
    let guest = events.iter().filter(|event| event["cat"] == "guest");
    assert!(guest.clone().count() > 10 && guest.clone().all(|event| &event["tid"] == row));
}
