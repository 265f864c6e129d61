use super::*;
use crate::dirent::records;
use ferrix_abi::layout::{STACK_TOP, SYSTEM_BASE};
use ferrix_abi::process::ARGUMENTS_MAX;
use ferrix_abi::vm::MapFlags;
use std::string::ToString;

struct Fixed;

fn info(pid: u32, arguments: &[u8]) -> ProcessInfo {
    let mut text = [0; ARGUMENTS_MAX];
    text[..arguments.len()].copy_from_slice(arguments);
    ProcessInfo {
        pid,
        parent: 1,
        group: pid,
        session: 1,
        state: b'S',
        priority: 24,
        policy: 0,
        cpu: 1,
        threads: 2,
        handles: 3,
        uid: 0,
        virtual_bytes: 8192,
        resident_pages: 1,
        user_ns: 20_000_000,
        system_ns: 0,
        start_ns: 30_000_000,
        arguments: text,
        arguments_length: arguments.len() as u32,
        has_personality: 1,
    }
}

impl Source for Fixed {
    fn caller(&self) -> u32 {
        12
    }
    fn next_process(&self, previous: u32) -> Option<ProcessInfo> {
        let all = [info(1, b"init"), info(12, b"/bin/cat\0/etc/motd")];
        all.into_iter().find(|info| info.pid > previous)
    }
    fn next_thread(&self, pid: u32, previous: u32) -> Option<ThreadInfo> {
        let thread = |tid, name: &[u8; 3]| {
            let mut info = ThreadInfo {
                tid,
                activity: 6,
                nice: 5,
                cpu: 1,
                voluntary: 7,
                involuntary: 2,
                affinity: 3,
                ..ThreadInfo::default()
            };
            info.name[..3].copy_from_slice(name);
            info
        };
        let mut worker = thread(pid + 1, b"two");
        (worker.policy, worker.realtime, worker.nice) = (1, 50, 0);
        let all = [thread(pid, &[0; 3]), worker];
        all.into_iter().find(|info| info.tid > previous)
    }
    fn cpu(&self, number: u32) -> CpuInfo {
        CpuInfo {
            user_ns: 20_000_000,
            nice_ns: 30_000_000,
            system_ns: 10_000_000 * u64::from(number),
            idle_ns: 50_000_000,
            switches: 9,
            runnable: 1,
        }
    }
    fn statistics(&self) -> SystemStats {
        SystemStats {
            load: [1024, 2048, 10_000],
            total_pages: 4,
            free_pages: 2,
            ..SystemStats::default()
        }
    }
    fn cpus(&self) -> u32 {
        2
    }
    fn uptime_ns(&self) -> u64 {
        1_250_000_000
    }
    fn boot_time(&self) -> u64 {
        77
    }
    fn command_line(&self) -> String {
        "quiet".to_string()
    }
    fn regions(&self, _pid: u32) -> Vec<Region> {
        let region = |start, end, prot, flags, object| Region {
            start,
            end,
            offset: 0x2000,
            object,
            prot,
            flags,
        };
        let private = MapFlags::PRIVATE.bits();
        vec![
            region(0x40_0000, 0x40_2000, 5, 0, 7),
            region(0x40_2000, 0x40_5000, 3, private, 0),
            region(STACK_TOP - 0x4000, STACK_TOP, 3, private, 0),
            region(SYSTEM_BASE, SYSTEM_BASE + 0x1000, 5, 0, 9),
        ]
    }
    fn memory(&self, _pid: u32) -> MemoryInfo {
        MemoryInfo {
            used: [0, 0, 3],
            most: [0x10_0000, 9],
            ..MemoryInfo::default()
        }
    }
    fn limits(&self, _pid: u32) -> LimitInfo {
        let mut info = LimitInfo::default();
        info.violations[3] = 4;
        info.violations[9] = 1;
        info
    }
    fn slabs(&self) -> Vec<SlabInfo> {
        vec![SlabInfo {
            size: 128,
            per_slab: 32,
            pages_per_slab: 1,
            active: 40,
            cached: 8,
            magazine: 16,
            slabs: 2,
            active_slabs: 2,
        }]
    }
    fn identity(&self, _pid: u32) -> Identity {
        Identity {
            euid: 5,
            ..Identity::default()
        }
    }
    fn shared_pages(&self) -> u64 {
        1
    }
    fn segments(&self) -> Vec<Segment> {
        vec![Segment {
            id: 5,
            size: 4096,
            mode: 0o600,
            ..Segment::default()
        }]
    }
    fn mounts(&self) -> String {
        "/dev/vda / ext2 rw 0 0\n".to_string()
    }
    fn unknown_calls(&self) -> Vec<(u64, u64)> {
        vec![(335, 2)]
    }
}

fn read(path: &[&str]) -> Result<String> {
    let mut proc = Proc::new(Box::new(Fixed));
    let mut at = ROOT;
    for name in path {
        at = proc.lookup(at, name.as_bytes())?.inode;
    }
    match proc.open(at, 0)? {
        Opened::Local(Local::Text(text) | Local::Name(text, _)) => {
            Ok(String::from_utf8(text).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn processes_have_their_files() {
    let stat = read(&["12", "stat"]).unwrap();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    assert_eq!(fields.len(), 52);
    assert_eq!(
        (fields[0], fields[1], fields[2], fields[3]),
        ("12", "(cat)", "S", "1")
    );
    assert_eq!(
        (fields[13], fields[19], fields[21], fields[22], fields[23]),
        ("2", "2", "3", "8192", "1")
    );
    assert_eq!(read(&["12", "cmdline"]).unwrap(), "/bin/cat\0/etc/motd");
    assert_eq!(read(&["12", "comm"]).unwrap(), "cat\n");
    let status = read(&["12", "status"]).unwrap();
    for line in [
        "State:\tS (sleeping)\n",
        "Uid:\t0\t5\t0\t5\n",
        "VmHWM:\t      36 kB\n",
        "VmSize:\t      36 kB\n",
        "VmLck:\t      12 kB\n",
        "VmData:\t      12 kB\n",
        "VmStk:\t      16 kB\n",
        "VmExe:\t       8 kB\n",
        "Violations:\t5\n",
    ] {
        assert!(status.contains(line), "{line:?} in {status}");
    }
    assert_eq!(read(&["12", "statm"]).unwrap(), "9 1 0 2 0 7 0\n");
    assert_eq!(read(&["13", "stat"]), Err(ENOENT));
    assert_eq!(read(&["0", "stat"]), Err(ENOENT));
}

#[test]
fn names_can_be_written() {
    let mut proc = Proc::new(Box::new(Fixed));
    let tasks = task_inode(12, 13);
    for (directory, tid) in [(process_inode(12), 12), (tasks, 13)] {
        let name = proc.lookup(directory, b"comm").unwrap();
        assert_eq!(name.mode & 0o777, 0o644);
        let opened = proc.open(name.inode, 0).unwrap();
        assert!(matches!(opened, Opened::Local(Local::Name(_, named)) if named == tid));
        let (size, to) = (Change::SIZE, Attributes::default());
        assert_eq!(proc.set_attributes(name.inode, size, &to), Ok(()));
        let other = proc.lookup(directory, b"stat").unwrap();
        assert_eq!(proc.set_attributes(other.inode, size, &to), Err(EPERM));
    }
}

#[test]
fn threads_have_their_files() {
    let stat = read(&["12", "task", "13", "stat"]).unwrap();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    assert_eq!((fields[0], fields[1], fields[2]), ("13", "(two)", "S"));
    // Priority, nice; wchan, processor, real-time priority, policy.
    assert_eq!((fields[17], fields[18]), ("-51", "0"));
    assert_eq!(fields[34], "1");
    assert_eq!(fields[38..41], ["1", "50", "1"]);
    let main = read(&["12", "stat"]).unwrap();
    let fields: Vec<&str> = main.split_whitespace().collect();
    assert_eq!((fields[17], fields[18], fields[40]), ("25", "5", "0"));
    assert_eq!(read(&["12", "task", "13", "comm"]).unwrap(), "two\n");
    assert_eq!(read(&["12", "task", "13", "wchan"]).unwrap(), "futex_wait");
    for (path, line) in [
        (&["12", "status"][..], "voluntary_ctxt_switches:\t7\n"),
        (&["12", "task", "13", "status"], "Cpus_allowed:\t3\n"),
        (&["12", "sched"], "cat (12, #threads: 2)\n"),
        (
            &["12", "task", "13", "sched"],
            "prio                               :                   49\n",
        ),
    ] {
        let text = read(path).unwrap();
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert_eq!(read(&["12", "task", "14", "stat"]), Err(ENOENT));
    assert_eq!(
        read(&["12", "task", "..", "..", "uptime"]).unwrap(),
        "1.25 0.00\n"
    );
}

#[test]
fn cpus_and_load() {
    let stat = read(&["stat"]).unwrap();
    assert!(
        stat.starts_with("cpu  4 6 1 10 0 0 0 0 0 0\ncpu0 2 3 0 5 "),
        "{stat}"
    );
    assert!(stat.contains("\nprocs_running 2\n"), "{stat}");
    assert_eq!(read(&["loadavg"]).unwrap(), "0.50 1.00 4.88 2/0 12\n");
}

#[test]
fn limits_are_listed() {
    let text = read(&["12", "limits"]).unwrap();
    assert_eq!(text.lines().count(), 18);
    let line = "Max stack size            8388608              unlimited            bytes     ";
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn the_system_has_its_files() {
    assert_eq!(read(&["uptime"]).unwrap(), "1.25 0.00\n");
    assert!(
        read(&["meminfo"])
            .unwrap()
            .starts_with("MemTotal:             16 kB\nMemFree:               8 kB\n")
    );
    let meminfo = read(&["meminfo"]).unwrap();
    assert!(
        meminfo.contains("\nSlab:                  8 kB\n"),
        "{meminfo}"
    );
    let slabinfo = read(&["slabinfo"]).unwrap();
    assert!(slabinfo.starts_with("slabinfo - version: 2.1\n# name "));
    let fields: Vec<&str> = slabinfo
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(fields[..6], ["kmalloc-128", "40", "64", "128", "32", "1"]);
    assert_eq!(fields[12..], ["slabdata", "2", "2", "0"]);
    assert_eq!(read(&["ferrix", "enosys"]).unwrap(), "335 2\n");
    assert!(
        read(&["ferrix", "kernel"])
            .unwrap()
            .contains("free_pages 2\n")
    );
    assert_eq!(read(&["enosys"]), Err(ENOENT));
}

#[test]
fn mappings_as_lines() {
    let maps = read(&["12", "maps"]).unwrap();
    let lines: Vec<&str> = maps.lines().collect();
    assert_eq!(lines.len(), 3, "the personality is not shown");
    assert_eq!(lines[0], "00400000-00402000 r-xs 00002000 00:00 7 ");
    assert_eq!(lines[1].find("[heap]"), Some(73));
    assert!(lines[2].ends_with(" [stack]"));
}

#[test]
fn segments_are_listed() {
    let text = read(&["sysvipc", "shm"]).unwrap();
    let line = text.lines().nth(1).unwrap();
    let fields: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        (fields.len(), &fields[..4]),
        (16, &["0", "5", "600", "4096"][..])
    );
}

#[test]
fn every_listed_name_can_be_looked_up() {
    let mut proc = Proc::new(Box::new(Fixed));
    for (directory, least) in [
        (ROOT, 4),
        (FERRIX, 2),
        (SYSVIPC, 1),
        (process_inode(12), 4),
        (process_inode(12) | TASKS, 2),
        (task_inode(12, 13), 4),
    ] {
        let listed = proc.read_directory(directory, 0, 4096).unwrap();
        for record in records(&listed).skip(2) {
            let found = proc.lookup(directory, record.name).unwrap();
            assert_eq!(found.inode, record.inode);
        }
        assert!(records(&listed).count() >= least + 2);
    }
    assert_eq!(proc.read_link(SELF).unwrap(), b"12");
}
