//! Sizes of memory as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

const PAGE: u64 = 4096;
/// Bytes.
const MOST: u64 = 1 << 40;
const UNITS: [(char, u32); 3] = [('K', 10), ('M', 20), ('G', 30)];

/// A size of guest RAM in bytes; always a whole number of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize(u64);

impl MemorySize {
    /// So many MiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// So many bytes, rounded down to whole pages.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes & !(PAGE - 1))
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size of memory; write for example 256M or 4G");
        let upper = text.trim().to_ascii_uppercase();
        let (digits, shift) = match UNITS.iter().find(|(unit, _)| upper.ends_with(*unit)) {
            Some((_, shift)) => (&upper[..upper.len() - 1], *shift),
            None => (upper.as_str(), 0),
        };
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let bytes = count
            .checked_mul(1 << shift)
            .filter(|&bytes| bytes <= MOST)
            .ok_or_else(|| {
                format!("`{text}` is more than a guest can have (1024G); write for example 4G")
            })?;
        if bytes % PAGE != 0 {
            return Err(format!(
                "`{text}` is no whole number of 4 KiB pages; write for example 256M"
            ));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .rev()
            .find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift))
        {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// A size in a manifest: a number of bytes, or text.
struct Written;

impl de::Visitor<'_> for Written {
    type Value = MemorySize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a size such as \"256M\", or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MemorySize, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<MemorySize, E> {
        self.visit_str(&bytes.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_and_limits() {
        assert_eq!("256M".parse(), Ok(MemorySize::mib(256)));
        assert_eq!("4g".parse(), Ok(MemorySize::mib(4096)));
        assert_eq!("4096".parse(), Ok(MemorySize(4096)));
        for wrong in ["", "M", "-1M", "1.5G", "256MB", "4097", "99999999999G", "ü"] {
            assert!(wrong.parse::<MemorySize>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(pages in 0u64..1 << 28) {
            let size = MemorySize(pages * PAGE);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = text.parse::<MemorySize>();
        }
    }
}
