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
    assert!(config.disks[1].read_only);
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
