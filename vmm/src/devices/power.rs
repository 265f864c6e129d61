//! ACPI's sleep registers of a machine without fixed hardware (ACPI 6.5, section 4.8.3.7): writing the type
//! of soft-off with the enable bit ends the machine.

/// Port of the sleep control register (8 bits).
pub const CONTROL: u16 = 0xf8;
/// Port of the sleep status register (8 bits): nothing ever woke this machine.
pub const STATUS: u16 = 0xf9;
/// `SLP_TYP` of soft-off, as the DSDT's `_S5` says.
pub const SOFT_OFF: u8 = 5;

const TYPE_SHIFT: u8 = 2;
const TYPE_MASK: u8 = 7;
/// `SLP_EN`.
const ENABLE: u8 = 1 << 5;

/// Whether this write to [`CONTROL`] is the order to power off.
pub fn is_soft_off(data: &[u8]) -> bool {
    data.first()
        .is_some_and(|byte| byte & ENABLE != 0 && byte >> TYPE_SHIFT & TYPE_MASK == SOFT_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_type_and_enable_together_end() {
        assert!(is_soft_off(&[SOFT_OFF << TYPE_SHIFT | ENABLE]));
        for other in [SOFT_OFF << TYPE_SHIFT, ENABLE, 4 << TYPE_SHIFT | ENABLE, 0] {
            assert!(!is_soft_off(&[other]), "{other:#x}");
        }
        assert!(!is_soft_off(&[]));
    }
}
