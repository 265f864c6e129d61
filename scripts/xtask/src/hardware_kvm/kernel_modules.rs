//! Which kernel modules a machine needs, in the order in which they load: as their files say (`depends=`
//! in the section `.modinfo`), not as a list that is right for one kernel only.

use anyhow::{Context, Result, bail};
use elf::ElfBytes;
use elf::endian::LittleEndian;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A loadable module: its name and the bytes to load.
pub struct Module {
    pub name: String,
    pub image: Vec<u8>,
}

/// The modules below a kernel's `lib/modules/RELEASE`.
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: HashSet<String>,
}

impl Modules {
    /// Finds all modules of the folder.
    pub fn find(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(&folder.join("kernel"), &mut files)?;
        let builtin = folder.join("modules.builtin");
        let builtin =
            fs::read_to_string(&builtin).with_context(|| builtin.display().to_string())?;
        let builtin = builtin.lines().filter_map(|line| name_of(Path::new(line)));
        Ok(Self {
            files,
            builtin: builtin.collect(),
        })
    }

    /// The wanted modules and those they depend on, dependencies first; built-in ones are left out.
    pub fn closure(&self, wanted: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        for name in wanted {
            self.visit(name, &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, name: &str, order: &mut Vec<Module>) -> Result<()> {
        if self.builtin.contains(name) || order.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let Some(file) = self.files.get(name) else {
            bail!("the kernel has no module {name}: hardware-kvm needs one that has");
        };
        let image = read(file)?;
        for dependency in depends(&image).with_context(|| file.display().to_string())? {
            self.visit(&dependency, order)?;
        }
        order.push(Module {
            name: name.to_owned(),
            image,
        });
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `kvm_amd` of `kvm-amd.ko.zst`.
fn name_of(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// A module's bytes, unpacked.
fn read(file: &Path) -> Result<Vec<u8>> {
    let tool = match file.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => "zstd",
        Some("xz") => "xz",
        Some("gz") => "gzip",
        _ => return fs::read(file).with_context(|| file.display().to_string()),
    };
    let output = Command::new(tool).arg("-dcq").arg(file).output();
    let output = output.with_context(|| format!("running {tool}: install the package {tool}"))?;
    if !output.status.success() {
        bail!("{tool} cannot unpack {}", file.display());
    }
    Ok(output.stdout)
}

/// The names after `depends=`.
fn depends(module: &[u8]) -> Result<Vec<String>> {
    let file = ElfBytes::<LittleEndian>::minimal_parse(module)?;
    let section = file
        .section_header_by_name(".modinfo")?
        .context("no section .modinfo")?;
    let (information, _) = file.section_data(&section)?;
    Ok(depends_of(information))
}

fn depends_of(information: &[u8]) -> Vec<String> {
    information
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix("depends="))
        .flat_map(|names| names.split(','))
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_from_modinfo() {
        let information = b"license=GPL\0depends=kvm,irq-bypass\0retpoline=Y\0";
        assert_eq!(depends_of(information), ["kvm", "irq_bypass"]);
        assert!(depends_of(b"depends=\0").is_empty());
    }

    #[test]
    fn names_are_the_kernels() {
        for (file, name) in [
            ("kernel/arch/x86/kvm/kvm-amd.ko.zst", Some("kvm_amd")),
            ("fuse.ko", Some("fuse")),
            ("modules.order", None),
        ] {
            assert_eq!(name_of(Path::new(file)).as_deref(), name);
        }
    }

    #[test]
    fn built_in_modules_are_not_loaded_and_missing_ones_are_named() {
        let modules = Modules {
            files: BTreeMap::new(),
            builtin: ["fuse".to_owned()].into(),
        };
        assert!(modules.closure(&["fuse"]).unwrap().is_empty());
        let error = modules.closure(&["kvm_amd"]).err().unwrap();
        assert!(error.to_string().contains("kvm_amd"));
    }
}
