use super::*;

const FULL: &str = r#"
kernel = "../target/image/kernel"
cpus = 2
memory = "64M"
append = "a=b"
command = "true"
[[module]]
path = "../target/image/init"
args = "init --verbose"
[[module]]
path = "blk"
[[disk]]
path = "/abs/root.img"
[[disk]]
path = "data.img"
read_only = true
"#;

fn parse(text: &str) -> Result<VmConfig, ConfigError> {
    Manifest::parse(text, Path::new("images/x.toml")).map(|m| m.into_config(Path::new("images")))
}

#[test]
fn full_manifest_resolves_paths_against_its_folder() {
    let config = parse(FULL).unwrap();
    assert_eq!(config.kernel, Path::new("images/../target/image/kernel"));
    assert_eq!(config.modules[0].args, "init --verbose");
    assert_eq!(
        config.modules[1].args, "blk",
        "the name is the file's name by default"
    );
    assert_eq!(config.disks[0].path, Path::new("/abs/root.img"));
    assert_eq!(config.disks[1].mode, DiskMode::ReadOnly);
    assert_eq!((config.cpus, config.memory), (2, MemorySize::mib(64)));
}

#[test]
fn errors_name_file_line_and_column() {
    let error = parse("kernel = \"k\"\ncpu = 3\n").unwrap_err().to_string();
    assert!(error.contains("images/x.toml"), "{error}");
    assert!(error.contains("line 2, column 1"), "{error}");
    assert!(error.contains("unknown field `cpu`"), "{error}");
    let error = parse("kernel = \"k\"\nmemory = \"many\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2") && error.contains("256M"),
        "{error}"
    );
}

#[test]
fn command_line_overrides_the_manifest() {
    let mut config = parse(FULL).unwrap();
    config.apply(&RunOptions {
        cpus: Some(4),
        disks: vec!["other.img,ro".parse().unwrap()],
        append: vec!["c=d".into(), "e".into()],
        ..RunOptions::default()
    });
    assert_eq!(config.cpus, 4);
    assert_eq!(
        config.disks.len(),
        1,
        "--disk replaces the manifest's disks"
    );
    assert_eq!(config.append, "a=b c=d e");
    assert_eq!(config.command.as_deref(), Some("true"));
}

#[test]
fn impossible_machines_are_refused() {
    let good = parse(FULL).unwrap();
    assert!(good.check().is_ok());
    for cpus in [0, MAX_CPUS + 1] {
        assert!(
            VmConfig {
                cpus,
                ..good.clone()
            }
            .check()
            .is_err()
        );
    }
    let small = VmConfig {
        memory: MemorySize::mib(8),
        ..good.clone()
    };
    let error = small.check().unwrap_err().to_string();
    assert!(
        error.contains("8M") && error.contains("32M") && error.contains("--memory"),
        "{error}"
    );
    let disks = vec![good.disks[0].clone(); 18];
    assert!(VmConfig { disks, ..good }.check().is_err());
}

#[test]
fn missing_manifest_names_file_and_remedy() {
    let options = RunOptions {
        image: Some("no/such.toml".into()),
        ..RunOptions::default()
    };
    let error = VmConfig::load(&options).unwrap_err().to_string();
    assert!(
        error.contains("no/such.toml") && error.contains("images/default.toml"),
        "{error}"
    );
}

#[test]
fn the_last_word_says_where_the_terminal_is() {
    let load = |append: &str, machine: Option<&str>| {
        let options = RunOptions {
            kernel: Some("k".into()),
            append: vec![append.into()],
            machine: machine.map(|name| name.parse().unwrap()),
            ..RunOptions::default()
        };
        let config = VmConfig::load(&options).unwrap();
        (config.has_serial_terminal(), config.devices())
    };
    assert_eq!(load("quiet", None), (false, 2));
    assert_eq!(load("console=ttyS0,115200 quiet", None), (true, 1));
    assert_eq!(load("console=ttyS0 console=hvc0", None), (false, 2));
    assert_eq!(load("noconsole=serial", None), (false, 2));
    assert_eq!(load("", Some("firecracker")), (true, 1));
}

#[test]
fn a_manifest_says_sizes_and_modes_in_its_own_terms() {
    let text = "kernel = \"k\"\nmemory = 67108864\n[[disk]]\npath = \"a\"\nsnapshot = true\n";
    let config = parse(text).unwrap();
    assert_eq!(config.memory, MemorySize::mib(64));
    assert_eq!(config.disks[0].mode, DiskMode::Snapshot);
    for (text, parts) in [
        (
            "kernel = \"k\"\n[[disk]]\npath = \"a\"\nread_only = true\nsnapshot = true\n",
            ["line 2", "not both"],
        ),
        (
            "kernel = \"k\"\n[[disk]]\npath = \"a\"\nreadonly = true\n",
            ["line 4, column 1", "`readonly`"],
        ),
        (
            "kernel = \"k\"\nmemory = true\n",
            ["line 2, column 10", "a size such as"],
        ),
        (
            "kernel = \"k\"\nmemory = -1\n",
            ["line 2, column 10", "`-1`"],
        ),
        (
            "kernel = \"k\"\ncpus = \"2\"\n",
            ["line 2, column 8", "u32"],
        ),
        (
            "kernel = \"k\"\nroot = \"ext4\"\n",
            ["line 2, column 8", "`ext2`"],
        ),
        ("cpus = 1\n", ["line 1", "missing field `kernel`"]),
        ("kernel = \"k\n", ["line 1", "kernel"]),
        (
            "kernel = \"k\"\nkernel = \"k\"\n",
            ["line 2, column 1", "duplicate"],
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` in {error}");
        }
    }
}

#[test]
fn disks_are_named_with_what_may_be_done_to_them() {
    let mode = |text: &str| text.parse::<DiskConfig>().map(|disk| disk.mode);
    assert_eq!(mode("a.img"), Ok(DiskMode::ReadWrite));
    assert_eq!(mode("a.img,ro"), Ok(DiskMode::ReadOnly));
    assert_eq!(mode("a,b.img,snapshot"), Ok(DiskMode::Snapshot));
    for empty in ["", ",ro", ",snapshot"] {
        assert!(mode(empty).is_err(), "{empty}");
    }
}

proptest::proptest! {
    #[test]
    fn a_manifest_of_any_bytes_is_read_or_refused(text in ".{0,200}", at in 0usize..300) {
        let _ = parse(&text);
        let mut bytes = FULL.as_bytes().to_vec();
        bytes.truncate(at);
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
