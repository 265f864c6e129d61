//! The CMOS real-time clock (MC146818), read-only: the host's wall clock in UTC.
//!
//! A guest that has no `MSR_KVM_WALL_CLOCK_NEW` reads the time of day here. Registers are BCD, 24 h.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The index port.
pub const INDEX: u16 = 0x70;
/// The data port.
pub const DATA: u16 = 0x71;

const REGISTER_B_24_HOURS: u8 = 1 << 1;
const REGISTER_D_VALID: u8 = 1 << 7;
/// Bit 7 of the index port masks NMIs on a PC.
const INDEX_MASK: u8 = 0x7f;

/// The clock.
#[derive(Debug, Default)]
pub struct Cmos {
    index: AtomicU8,
}

impl Cmos {
    /// OUT: only the index can be written.
    pub fn write(&self, port: u16, data: &[u8]) {
        if let (INDEX, Some(&index)) = (port, data.first()) {
            self.index.store(index & INDEX_MASK, Ordering::Relaxed);
        }
    }

    /// IN from the data port reads the selected register.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let value = match port {
            DATA => register(self.index.load(Ordering::Relaxed), &Utc::from_unix(now)),
            _ => 0xff,
        };
        data.fill(value);
    }
}

fn register(index: u8, time: &Utc) -> u8 {
    match index {
        0x00 => bcd(time.second),
        0x02 => bcd(time.minute),
        0x04 => bcd(time.hour),
        0x06 => time.weekday + 1,
        0x07 => bcd(time.day),
        0x08 => bcd(time.month),
        0x09 => bcd((time.year % 100) as u8),
        0x0b => REGISTER_B_24_HOURS,
        0x0d => REGISTER_D_VALID,
        0x32 => bcd((time.year / 100) as u8),
        _ => 0,
    }
}

fn bcd(value: u8) -> u8 {
    ((value / 10) << 4) | (value % 10)
}

/// A point in time, split.
#[derive(Debug, PartialEq, Eq)]
struct Utc {
    year: u64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    /// 0 = Sunday.
    weekday: u8,
}

impl Utc {
    /// Splits seconds since 1970 (the usual civil-from-days algorithm, years from March).
    fn from_unix(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let of_day = seconds % 86_400;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = ((from_march + 2) % 12 + 1) as u8;
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: (day_of_year - (153 * from_march + 2) / 5 + 1) as u8,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let utc = Utc::from_unix(951_827_696);
        let expected = Utc {
            year: 2000,
            month: 2,
            day: 29,
            hour: 12,
            minute: 34,
            second: 56,
            weekday: 2,
        };
        assert_eq!(utc, expected);
        assert_eq!(
            [0x00, 0x04, 0x09, 0x32].map(|r| register(r, &utc)),
            [0x56, 0x12, 0x00, 0x20]
        );
        let epoch = Utc::from_unix(0);
        assert_eq!(
            (epoch.year, epoch.month, epoch.day, epoch.weekday),
            (1970, 1, 1, 4)
        );
    }
}
