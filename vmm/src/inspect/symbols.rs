//! Names of the kernel's functions, from its symbol table.

use std::fmt;
use std::fs::File;
use std::io::Seek;

use elf::ElfStream;
use elf::abi::{STT_FUNC, STT_NOTYPE};
use elf::endian::AnyEndian;

/// Functions in order of their address.
#[derive(Debug, Default)]
pub struct Symbols(Vec<Function>);

#[derive(Debug)]
struct Function {
    start: u64,
    size: u64,
    name: String,
}

/// An address inside a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Demangled name.
    pub function: String,
    /// Bytes from its start.
    pub offset: u64,
}

impl Symbols {
    /// Reads the symbol table; a kernel without one has no names.
    pub fn read(kernel: &File) -> Self {
        Self(functions(kernel).unwrap_or_default())
    }

    /// The function that holds an address.
    pub fn find(&self, address: u64) -> Option<Place> {
        let after = self.0.partition_point(|function| function.start <= address);
        let function = self.0.get(after.checked_sub(1)?)?;
        let offset = address - function.start;
        // Assembly labels have no size: they reach to the next symbol.
        let inside = function.size == 0 || offset < function.size;
        inside.then(|| Place {
            function: function.name.clone(),
            offset,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.function, self.offset)
    }
}

/// The monitor opens no file once the guest runs; this one is open.
fn rewound(kernel: &File) -> Option<File> {
    let mut kernel = kernel.try_clone().ok()?;
    kernel.rewind().ok()?;
    Some(kernel)
}

/// The address of the symbol of this very name.
pub fn address_of(kernel: &File, name: &str) -> Option<u64> {
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(rewound(kernel)?).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let mut addresses = symbols.iter().filter_map(|symbol| {
        let named = names.get(symbol.st_name as usize).is_ok_and(|n| n == name);
        named.then_some(symbol.st_value)
    });
    addresses.next()
}

fn functions(kernel: &File) -> Option<Vec<Function>> {
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(rewound(kernel)?).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let mut functions: Vec<_> = symbols
        .iter()
        .filter(|s| matches!(s.st_symtype(), STT_FUNC | STT_NOTYPE) && s.st_value != 0)
        .filter_map(|symbol| {
            let name = names
                .get(symbol.st_name as usize)
                .ok()
                .filter(|n| !n.is_empty())?;
            let name = format!("{:#}", rustc_demangle::demangle(name));
            Some(Function {
                start: symbol.st_value,
                size: symbol.st_size,
                name,
            })
        })
        .collect();
    // Of two symbols at one address the one with a size is the function.
    functions.sort_by_key(|function| (function.start, function.size));
    Some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_this_test_have_names() {
        let symbols = Symbols::read(&File::open(std::env::current_exe().unwrap()).unwrap());
        let name = "functions_of_this_test_have_names";
        let this = symbols
            .0
            .iter()
            .find(|f| f.name.ends_with(name) && f.size > 1)
            .unwrap();
        let place = symbols.find(this.start + 1).unwrap();
        assert!(
            place.to_string().ends_with(&format!("{name}+0x1")),
            "{place}"
        );
        assert_ne!(symbols.find(this.start + this.size), Some(place));
        assert!(symbols.find(0).is_none());
    }

    #[test]
    fn a_kernel_that_is_no_elf_has_no_names() {
        assert!(
            Symbols::read(&tempfile::tempfile().unwrap())
                .find(1)
                .is_none()
        );
    }
}
