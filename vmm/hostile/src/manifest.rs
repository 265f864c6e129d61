//! Image manifests.

use std::path::Path;

use vmm::config::{ConfigError, Manifest};
use vmm::console::target::Target;

/// The bytes are a manifest, as far as they are text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let name = Path::new("images/fuzz.toml");
    let manifest = match Manifest::parse(&text, name) {
        Ok(manifest) => manifest,
        Err(error @ ConfigError::Parse { .. }) => {
            let message = error.to_string();
            assert!(message.contains("images/fuzz.toml"), "{message}");
            return;
        }
        Err(other) => panic!("parsing reads no file: {other}"),
    };
    let config = manifest.into_config(Path::new("/images"));
    let disks = config.disks.iter().map(|disk| &disk.path);
    let modules = config.modules.iter().map(|module| &module.path);
    let socket = match &config.console {
        Target::Unix(path) => Some(path),
        Target::Stdio | Target::Pty => None,
    };
    let paths = disks.chain(modules).chain(socket).chain([&config.kernel]);
    for path in paths {
        assert!(path.is_absolute(), "{} lies nowhere", path.display());
    }
    assert!(config.memory.bytes().is_multiple_of(4096));
}
