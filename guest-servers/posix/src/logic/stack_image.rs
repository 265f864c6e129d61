//! The initial stack of a program, as the System V ABI has it: from the stack pointer upwards argument count,
//! argument vector, environment vector, auxiliary vector; above them 16 random bytes, the strings, the file name.

use crate::errno::{Errno, Result};

/// Most bytes of strings and vectors together.
pub const IMAGE_MAX: u64 = 512 * 1024;
/// Zeros above the last string, as on Linux: a C library may look at a word from a string's last byte on (glibc does, when
/// it compares the names in `GLIBC_TUNABLES`).
const END: u64 = 8;
/// Bytes of `AT_RANDOM`.
pub const RANDOM_SIZE: u64 = 16;

/// What goes into an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Arguments.
    pub arguments: u64,
    /// Environment strings.
    pub environment: u64,
    /// Bytes of all strings, their NULs counted.
    pub string_bytes: u64,
    /// Entries of the auxiliary vector, `AT_NULL` counted.
    pub auxiliary: u64,
}

/// Where the parts lie; addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Initial stack pointer: the argument count.
    pub stack: u64,
    /// Argument vector.
    pub arguments: u64,
    /// Environment vector.
    pub environment: u64,
    /// Auxiliary vector.
    pub auxiliary: u64,
    /// Random bytes.
    pub random: u64,
    /// Strings.
    pub strings: u64,
}

impl Layout {
    /// Lays out an image that ends at `top`.
    ///
    /// # Errors
    /// `E2BIG`.
    pub fn new(top: u64, contents: &Contents) -> Result<Layout> {
        // Argument count and the two null pointers, then a pair per auxiliary entry.
        let words = 3 + contents.arguments + contents.environment + 2 * contents.auxiliary;
        let size = contents.string_bytes.saturating_add(words * 8);
        if size > IMAGE_MAX {
            return Err(Errno::E2BIG);
        }
        let strings = (top - END - contents.string_bytes) & !15;
        let random = strings - RANDOM_SIZE;
        let stack = (random - words * 8) & !15;
        let arguments = stack + 8;
        let environment = arguments + (contents.arguments + 1) * 8;
        let auxiliary = environment + (contents.environment + 1) * 8;
        Ok(Layout {
            stack,
            arguments,
            environment,
            auxiliary,
            random,
            strings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn parts_do_not_overlap(arguments in 0u64..99, environment in 0u64..99, bytes in 0u64..9999, aux in 1u64..30) {
            let contents = Contents { arguments, environment, string_bytes: bytes, auxiliary: aux };
            let layout = Layout::new(0x7fef_ffff_f000, &contents).unwrap();
            proptest::prop_assert_eq!(layout.stack % 16, 0);
            proptest::prop_assert!(layout.auxiliary + aux * 16 <= layout.random);
            proptest::prop_assert!(layout.random + RANDOM_SIZE <= layout.strings);
            proptest::prop_assert!(layout.strings + bytes + END <= 0x7fef_ffff_f000);
        }
    }

    #[test]
    fn too_much_is_refused() {
        let contents = Contents {
            string_bytes: u64::MAX - 5,
            ..Contents::default()
        };
        assert_eq!(Layout::new(1 << 40, &contents), Err(Errno::E2BIG));
    }
}
