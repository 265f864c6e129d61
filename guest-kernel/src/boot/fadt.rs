//! How ACPI says that the machine is switched off and reset: the FADT (ACPI specification 6.5,
//! 5.2.9) and the package `\_S5_` of the DSDT.
//!
//! The DSDT is a program, which the kernel does not run: it looks for the package by its name, as
//! firmware writes it.

/// Where a register is (5.2.3.2, "Generic Address Structure").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// A physical address.
    Memory(u64),
    /// An I/O port.
    Port(u16),
}

/// What is written to which register to reset the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The register, of 8 bits.
    pub register: Register,
    /// The value.
    pub value: u8,
}

/// How the machine is put into state S5, which is "off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// Hardware-reduced ACPI: the value for the sleep control register (4.8.3.7), of 8 bits.
    SleepControl(Register, u8),
    /// The PM1 control registers (4.8.3.2), of 16 bits: port of block a, of block b (0: none), and
    /// what to put into their sleep bits.
    Pm1 {
        /// Ports of blocks a and b; 0: there is none.
        control: [u16; 2],
        /// Values for them: sleep type and sleep enable.
        values: [u16; 2],
        /// Port and value that make the firmware give the registers to ACPI; port 0: they are
        /// always its.
        enable: (u16, u8),
    },
}

const FLAGS: usize = 112;
const RESET_REG_SUP: u32 = 1 << 10;
const HW_REDUCED_ACPI: u32 = 1 << 20;
const SMI_CMD: usize = 48;
const ACPI_ENABLE: usize = 52;
const PM1A_CNT_BLK: usize = 64;
const PM1B_CNT_BLK: usize = 68;
const RESET_REG: usize = 116;
const RESET_VALUE: usize = 128;
const SLEEP_CONTROL_REG: usize = 244;
const DSDT: usize = 40;
const X_DSDT: usize = 140;

/// Bits of a PM1 control register that [`PowerOff::Pm1`] sets: SLP_TYP, SLP_EN.
pub const PM1_SLEEP: u16 = 7 << 10 | 1 << 13;
/// The PM1 registers are ACPI's.
pub const PM1_SCI_EN: u16 = 1;

fn byte(table: &[u8], offset: usize) -> u8 {
    table.get(offset).copied().unwrap_or(0)
}

fn number(table: &[u8], offset: usize, width: usize) -> u64 {
    let bytes = table.get(offset..offset + width).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | byte as u64)
}

fn register(table: &[u8], offset: usize) -> Option<Register> {
    let address = number(table, offset + 4, 8);
    match byte(table, offset) {
        _ if address == 0 => None,
        0 => Some(Register::Memory(address)),
        1 => Some(Register::Port(address.try_into().ok()?)),
        _ => None,
    }
}

/// Physical address of the DSDT; 0: none.
pub fn dsdt(fadt: &[u8]) -> u64 {
    match number(fadt, X_DSDT, 8) {
        0 => number(fadt, DSDT, 4),
        wide => wide,
    }
}

/// How a FADT says that the machine is reset.
pub fn reset(fadt: &[u8]) -> Option<Reset> {
    if number(fadt, FLAGS, 4) as u32 & RESET_REG_SUP == 0 {
        return None;
    }
    Some(Reset {
        register: register(fadt, RESET_REG)?,
        value: byte(fadt, RESET_VALUE),
    })
}

/// How a FADT and a DSDT say that the machine is switched off.
pub fn power_off(fadt: &[u8], dsdt: &[u8]) -> Option<PowerOff> {
    let [a, b] = sleep_types(dsdt)?;
    if number(fadt, FLAGS, 4) as u32 & HW_REDUCED_ACPI != 0 {
        let control = register(fadt, SLEEP_CONTROL_REG)?;
        return Some(PowerOff::SleepControl(control, (a & 7) << 2 | 1 << 5));
    }
    let port = |offset| number(fadt, offset, 4) as u16;
    let value = |kind: u8| (kind as u16 & 7) << 10 | 1 << 13;
    (port(PM1A_CNT_BLK) != 0).then(|| PowerOff::Pm1 {
        control: [port(PM1A_CNT_BLK), port(PM1B_CNT_BLK)],
        values: [value(a), value(b)],
        enable: (number(fadt, SMI_CMD, 4) as u16, byte(fadt, ACPI_ENABLE)),
    })
}

/// The first two elements of the package `\_S5_`.
fn sleep_types(dsdt: &[u8]) -> Option<[u8; 2]> {
    const PACKAGE: u8 = 0x12;
    let name = b"_S5_";
    let at = dsdt.windows(name.len()).position(|window| window == name)?;
    let package = dsdt.get(at + name.len()..)?;
    if *package.first()? != PACKAGE {
        return None;
    }
    // The length's first byte says in its top bits how many follow; then the number of elements.
    let length_bytes = 1 + (*package.get(1)? >> 6) as usize;
    let (first, rest) = element(package.get(1 + length_bytes + 1..)?)?;
    let second = element(rest).map_or(first, |(second, _)| second);
    Some([first, second])
}

/// A small integer of AML, and what follows it.
fn element(aml: &[u8]) -> Option<(u8, &[u8])> {
    match aml {
        [value @ (0 | 1), rest @ ..] => Some((*value, rest)),
        [0x0a, value, rest @ ..]
        | [0x0b, value, _, rest @ ..]
        | [0x0c, value, _, _, _, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fadt(flags: u32) -> Vec<u8> {
        let mut table = vec![0; 276];
        table[FLAGS..FLAGS + 4].copy_from_slice(&flags.to_le_bytes());
        table
    }

    const S5: &[u8] = b"\x08_S5_\x12\x0a\x04\x0a\x05\x0a\x06\x00\x00";

    #[test]
    fn a_pc_is_switched_off_by_its_pm1_registers() {
        let mut table = fadt(RESET_REG_SUP);
        table[PM1A_CNT_BLK] = 4;
        table[PM1A_CNT_BLK + 1] = 6;
        table[SMI_CMD] = 0xb2;
        table[ACPI_ENABLE] = 2;
        table[RESET_REG] = 1;
        table[RESET_REG + 4..RESET_REG + 6].copy_from_slice(&0xcf9u16.to_le_bytes());
        table[RESET_VALUE] = 0xf;
        let off = PowerOff::Pm1 {
            control: [0x604, 0],
            values: [0x3400, 0x3800],
            enable: (0xb2, 2),
        };
        assert_eq!(power_off(&table, S5), Some(off));
        let register = Register::Port(0xcf9);
        let value = 0xf;
        assert_eq!(reset(&table), Some(Reset { register, value }));
        assert_eq!(power_off(&table, b"_S4_"), None, "no package");
        assert_eq!(power_off(&table, &S5[..9]), None, "a cut one");
    }

    #[test]
    fn a_hardware_reduced_machine_has_a_sleep_control_register() {
        let mut table = fadt(HW_REDUCED_ACPI);
        assert_eq!((power_off(&table, S5), reset(&table)), (None, None));
        table[SLEEP_CONTROL_REG + 4..SLEEP_CONTROL_REG + 8]
            .copy_from_slice(&0xfea0_0000u32.to_le_bytes());
        let register = Register::Memory(0xfea0_0000);
        let off = PowerOff::SleepControl(register, 5 << 2 | 1 << 5);
        assert_eq!(power_off(&table, S5), Some(off));
    }

    #[test]
    fn elements_of_all_widths_are_read() {
        let wide = b"_S5_\x12\x40\x10\x02\x0b\x07\x00\x0c\x03\x00\x00\x00";
        assert_eq!(sleep_types(wide), Some([7, 3]));
        assert_eq!(sleep_types(b"_S5_\x12\x03\x01\x01"), Some([1, 1]));
    }

    #[test]
    fn an_old_and_a_new_field_name_the_dsdt() {
        let mut table = fadt(0);
        table[DSDT] = 7;
        assert_eq!(dsdt(&table), 7);
        table[X_DSDT] = 9;
        assert_eq!(dsdt(&table), 9);
        assert_eq!(dsdt(&table[..100]), 7, "an old, short table");
    }
}
