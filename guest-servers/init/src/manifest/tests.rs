use super::*;

const GOOD: &str = "
# drivers
server blk priority=80 resource=irq,physical
server ext2 calls=blk limit=handles:200 # the file system
server vfs priority=70 calls=ext2,blk args=root=vda
program /bin/sh personality=posix calls=init env=PATH=/bin env=HOME=/root limit=nproc:64:128 limit=as:1G
";

#[test]
fn reads_what_it_documents() {
    let manifest = parse(GOOD).unwrap();
    let [blk, ext2, vfs] = &manifest.servers[..] else {
        panic!("three servers")
    };
    assert_eq!(
        (blk.priority, blk.resource),
        (80, Rights::IRQ | Rights::PHYSICAL)
    );
    assert_eq!(
        (ext2.priority, &ext2.calls[..]),
        (SERVER_DEFAULT, &["blk".to_string()][..])
    );
    assert_eq!(vfs.args, ["root=vda"]);
    assert_eq!(ext2.limits, [(Resource::Handles, Limit::both(200))]);
    let (soft, hard) = (64, 128);
    assert_eq!(
        manifest.program.limits,
        [
            (Resource::Processes, Limit { soft, hard }),
            (Resource::AddressSpace, Limit::both(1 << 30))
        ]
    );
    assert_eq!(manifest.program.environment, ["PATH=/bin", "HOME=/root"]);
}

#[test]
fn the_manifest_of_the_images_is_good() {
    let manifest = parse(include_str!("../../../../images/servers.manifest")).unwrap();
    assert!(manifest.servers.iter().any(|server| server.name == "vfs"));
}

fn refused(text: &str, line: usize, part: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!(error.line, line, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[test]
fn says_what_is_wrong_and_where() {
    refused("server a\nservant b", 2, "expected `server`");
    refused("server", 1, "a name must follow");
    refused("server a priority=200", 1, "expected a number in 46..=87");
    refused("server a priority=24", 1, "expected a number in 46..=87");
    refused("server a colour=red", 1, "unknown option `colour=red`");
    refused("server a resource=all", 1, "irq, physical");
    refused("server a limit=as", 1, "limit `as`: expected NAME:SOFT");
    refused("# x\nprogram /x limit=as:lots", 2, "`lots` is no number");
    refused("server a\nserver a", 2, "already there");
    refused(
        "server a calls=b\nprogram /x personality=p",
        0,
        "a calls `b`",
    );
    refused("program /bin/sh", 1, "personality");
    refused("# nothing", 0, "no `program` line");
}
