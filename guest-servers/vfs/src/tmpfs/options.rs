//! Mount options of tmpfs (tmpfs(5)): `size`, `nr_blocks`, `nr_inodes`, `mode`, `uid`, `gid`.

use super::store::PAGE;
use crate::errno::{EINVAL, Result};
use alloc::string::String;
use core::fmt::Write;

/// What a tmpfs is mounted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most pages of file data.
    pub pages: u64,
    /// Most files, directories and links.
    pub inodes: u64,
    /// Permissions of the root directory.
    pub mode: u32,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
}

impl Options {
    /// The defaults: half of the RAM, as many files, everybody may write.
    pub const fn of_machine(ram_pages: u64) -> Options {
        Options {
            pages: ram_pages / 2,
            inodes: ram_pages / 2,
            mode: 0o1777,
            uid: 0,
            gid: 0,
        }
    }

    /// With the words of an option string.
    ///
    /// # Errors
    /// `EINVAL` for what is not known or no number.
    pub fn parse(ram_pages: u64, text: &str) -> Result<Options> {
        let mut options = Options::of_machine(ram_pages);
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "size" => options.pages = size(value, ram_pages)?,
                "nr_blocks" => options.pages = unlimited(scaled(value)?),
                "nr_inodes" => options.inodes = unlimited(scaled(value)?),
                "mode" => {
                    options.mode = u32::from_str_radix(value, 8).map_err(|_| EINVAL)? & 0o7777;
                }
                "uid" => options.uid = value.parse().map_err(|_| EINVAL)?,
                "gid" => options.gid = value.parse().map_err(|_| EINVAL)?,
                // What holds for any mount and changes nothing here.
                "rw" | "nosuid" | "nodev" | "noexec" | "relatime" | "noatime" | "noswap" => {}
                _ => return Err(EINVAL),
            }
        }
        Ok(options)
    }

    /// As `/proc/mounts` shows them: limits and what differs from the default.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if self.pages != u64::MAX {
            let _ = write!(text, ",size={}k", self.pages * (PAGE / 1024));
        }
        if self.inodes != u64::MAX {
            let _ = write!(text, ",nr_inodes={}", self.inodes);
        }
        if self.mode != 0o1777 {
            let _ = write!(text, ",mode={:o}", self.mode);
        }
        for (name, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id != 0 {
                let _ = write!(text, ",{name}={id}");
            }
        }
        text
    }
}

/// 0 means no limit.
const fn unlimited(count: u64) -> u64 {
    if count == 0 { u64::MAX } else { count }
}

fn size(value: &str, ram_pages: u64) -> Result<u64> {
    if let Some(percent) = value.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| EINVAL)?;
        return Ok(ram_pages.saturating_mul(percent) / 100);
    }
    scaled(value).map(|bytes| unlimited(bytes.div_ceil(PAGE)))
}

/// A number with `k`, `m` or `g`.
fn scaled(value: &str) -> Result<u64> {
    let (digits, shift) = match value.as_bytes().last() {
        Some(b'k' | b'K') => (&value[..value.len() - 1], 10),
        Some(b'm' | b'M') => (&value[..value.len() - 1], 20),
        Some(b'g' | b'G') => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let number: u64 = digits.parse().map_err(|_| EINVAL)?;
    number.checked_mul(1 << shift).ok_or(EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_words() {
        let options = Options::parse(1000, "").unwrap();
        assert_eq!((options.pages, options.mode), (500, 0o1777));
        let options = Options::parse(1000, "size=1m,mode=755,uid=3,gid=4,nr_inodes=2k").unwrap();
        assert_eq!((options.pages, options.inodes), (256, 2048));
        assert_eq!((options.mode, options.uid, options.gid), (0o755, 3, 4));
        assert_eq!(
            options.text(),
            ",size=1024k,nr_inodes=2048,mode=755,uid=3,gid=4"
        );
        assert_eq!(Options::parse(1000, "size=25%").unwrap().pages, 250);
        assert_eq!(Options::parse(1000, "size=5000").unwrap().pages, 2);
        assert_eq!(Options::parse(1000, "size=0").unwrap().pages, u64::MAX);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "size=",
            "size=x",
            "size=1t",
            "mode=9",
            "color=red",
            "uid=-1",
            "size=99999999999g",
        ] {
            assert_eq!(Options::parse(1000, text), Err(EINVAL), "{text}");
        }
    }
}
