//! The kernel's command line.

use ferrix_abi::info::VirtioDevice;
use ferrix_machine::cmdline::{EXIT_PORT, VIRTIO_MMIO_DEVICE};

/// The values of all words `key=VALUE`, in their order.
fn values<'a>(command_line: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    command_line
        .split_ascii_whitespace()
        .filter_map(move |word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The last value of `key`; empty if there is none.
pub fn value<'a>(command_line: &'a str, key: &str) -> &'a str {
    values(command_line, key).last().unwrap_or_default()
}

/// The port of `exit_port=PORT`; the last one counts, and a malformed one is none.
pub fn exit_port(command_line: &str) -> Option<u16> {
    let port = number(values(command_line, EXIT_PORT).last()?)?;
    port.try_into().ok().filter(|&port| port != 0)
}

/// The lists of features of the processor that `without=NAME,NAME` words take away.
pub fn without(command_line: &str) -> impl Iterator<Item = &str> {
    values(command_line, "without")
}

/// Whether a word `check=NAME` asks for this check.
pub fn checks(command_line: &str, name: &str) -> bool {
    values(command_line, "check").any(|value| value == name)
}

/// Whether `inheritance=off` says that nobody works at the priority of who waits for it.
pub fn inherits(command_line: &str) -> bool {
    values(command_line, "inheritance").last() != Some("off")
}

/// The virtio-mmio devices that a command line announces, in its order: words
/// `virtio_mmio.device=SIZE@BASE:GSI`, with Linux's suffixes K, M and G. Malformed ones are passed over.
pub fn virtio_devices(command_line: &str) -> impl Iterator<Item = VirtioDevice> {
    values(command_line, VIRTIO_MMIO_DEVICE).filter_map(device)
}

fn device(value: &str) -> Option<VirtioDevice> {
    let (size, place) = value.split_once('@')?;
    let mut place = place.split(':');
    let base = number(place.next()?)?;
    let gsi = place.next()?.parse().ok()?;
    Some(VirtioDevice {
        base,
        size: number(size)?.try_into().ok()?,
        gsi,
    })
}

/// A decimal or `0x` hexadecimal number, with an optional suffix.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(u64, u32, u32)> {
        virtio_devices(text)
            .map(|d| (d.base, d.size, d.gsi))
            .collect()
    }

    #[test]
    fn devices_are_found_in_order() {
        let line = "quiet virtio_mmio.device=4K@0xd0000000:5 command=x \
                    virtio_mmio.device=512@0xfeb00e00:12:3";
        assert_eq!(
            parse(line),
            [(0xd000_0000, 4096, 5), (0xfeb0_0e00, 512, 12)]
        );
    }

    #[test]
    fn the_last_exit_port_counts() {
        assert_eq!(exit_port("quiet exit_port=1 exit_port=0xf4 x"), Some(0xf4));
        for none in [
            "exit_port",
            "exit_port=",
            "exit_port=0",
            "exit_port=0x10000",
            "exit_ports=5",
        ] {
            assert_eq!(exit_port(none), None, "{none}");
        }
    }

    #[test]
    fn the_last_value_counts() {
        assert_eq!(value("lockdep=a lockdep=b quiet", "lockdep"), "b");
        assert_eq!(value("lockdep quiet", "lockdep"), "");
    }

    #[test]
    fn a_check_is_named_as_a_word() {
        assert!(checks("quiet check=other check=tables", "tables"));
        assert!(!checks("check=tables2 xcheck=tables check", "tables"));
    }

    #[test]
    fn malformed_ones_are_passed_over() {
        let line = "virtio_mmio.device virtio_mmio.device= virtio_mmio.device=4K@:5 \
                    virtio_mmio.device=4K@0xzz:5 virtio_mmio.device=99999999G@0:1 \
                    xvirtio_mmio.device=4K@0:1 virtio_mmio.device=4K@1M:7";
        assert_eq!(parse(line), [(1 << 20, 4096, 7)]);
    }
}
