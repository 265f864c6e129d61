//! Every program: its name, its code, and how it is called.

use crate::cx::{Cx, Outcome};
use crate::{sh, util};

/// A program.
pub struct Tool {
    /// The name it is found by.
    pub name: &'static str,
    /// How it is called.
    pub synopsis: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its code.
    pub run: fn(&mut Cx) -> Outcome,
}

impl Tool {
    /// Whether `--help` asks for help; to some programs it is an argument like any other.
    pub fn answers_help(&self) -> bool {
        !matches!(
            self.name,
            "echo" | "test" | "[" | "true" | "false" | "yes" | "printf"
        )
    }
}

/// The program called `name`.
pub fn find(name: &[u8]) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name.as_bytes() == name)
}

const fn tool(
    name: &'static str,
    run: fn(&mut Cx) -> Outcome,
    synopsis: &'static str,
    summary: &'static str,
) -> Tool {
    Tool {
        name,
        synopsis,
        summary,
        run,
    }
}

/// All programs by name.
pub static TOOLS: &[Tool] = &[
    tool(
        "[",
        util::test::bracket,
        "[ EXPRESSION ]",
        "test a condition",
    ),
    tool(
        "asuser",
        util::limits::asuser,
        "asuser UID COMMAND [ARGUMENT]...",
        "run a command as another user",
    ),
    tool(
        "basename",
        util::simple::basename,
        "basename PATH [SUFFIX]",
        "last part of a path",
    ),
    tool(
        "bigmap",
        util::bigmap::run,
        "bigmap [-s SEED] [-n PAGES] [-a] FILE MIB",
        "write and read a large file through a mapping",
    ),
    tool("bomb", util::eat::bomb, "bomb SECONDS", "fork without end"),
    tool(
        "cat",
        util::cat::run,
        "cat [-n] [FILE]...",
        "files one after the other",
    ),
    tool(
        "check_memory_violation",
        util::limits::check_memory_violation,
        "check_memory_violation [PID]",
        "what a process may use, uses, and was refused",
    ),
    tool(
        "chmod",
        util::chmod::run,
        "chmod MODE FILE...",
        "change who may do what",
    ),
    tool(
        "chown",
        util::files::chown,
        "chown USER[:GROUP] FILE...",
        "change owners",
    ),
    tool(
        "chrt",
        util::priority::chrt,
        "chrt [-o|-f|-r|-b|-i] [-R] PRIORITY COMMAND... | chrt [OPTION] -p [PRIORITY] PID | chrt -m",
        "scheduling policy and priority",
    ),
    tool(
        "coherence",
        util::coherence::run,
        "coherence [-s SEED] [-n OPERATIONS] [-t SECONDS] FILE",
        "check that all ways to a file's bytes agree",
    ),
    tool("clear", util::simple::clear, "clear", "clear the screen"),
    tool(
        "cmp",
        util::bytes::cmp,
        "cmp [-sl] FILE1 FILE2",
        "compare two files",
    ),
    tool(
        "cp",
        util::copy::cp,
        "cp [-rpf] SOURCE... DESTINATION",
        "copy files and trees",
    ),
    tool(
        "cpus",
        util::faults::cpus,
        "cpus COUNT",
        "processors that busy threads run on",
    ),
    tool(
        "cut",
        util::columns::cut,
        "cut -f LIST [-d C] [-s] | -c LIST [FILE]...",
        "parts of lines",
    ),
    tool(
        "date",
        util::date::run,
        "date [-u] [-d @SECONDS] [+FORMAT]",
        "the time, in UTC",
    ),
    tool(
        "dd",
        util::dd::run,
        "dd [if=FILE] [of=FILE] [bs=SIZE] [count=N] [skip=N] [seek=N] [conv=notrunc,fsync]",
        "copy blocks",
    ),
    tool(
        "df",
        util::disk::df,
        "df [-h] [FILE]...",
        "room on file systems",
    ),
    tool(
        "dirname",
        util::simple::dirname,
        "dirname PATH...",
        "all but the last part of a path",
    ),
    tool(
        "divzero",
        util::faults::divzero,
        "divzero",
        "divide by zero in hardware",
    ),
    tool(
        "du",
        util::disk::du,
        "du [-sah] [FILE]...",
        "room that files take",
    ),
    tool(
        "eat",
        util::eat::eat,
        "eat KIND [MOST]",
        "take all there is of something",
    ),
    tool(
        "echo",
        util::echo::run,
        "echo [-neE] [TEXT]...",
        "print text",
    ),
    tool(
        "env",
        util::launch::env,
        "env [-i] [-u NAME]... [NAME=VALUE]... [COMMAND [ARGUMENT]...]",
        "run with other variables",
    ),
    tool(
        "execdata",
        util::faults::execdata,
        "execdata",
        "jump into a page of data",
    ),
    tool("false", util::simple::false_, "false", "fail"),
    tool(
        "find",
        util::find::run,
        "find [DIRECTORY]... [-maxdepth N] [-mindepth N] [!] [-name P] [-path P] [-type T] [-size N] [-empty] [-print | -print0]",
        "files in trees",
    ),
    tool(
        "forkloop",
        util::faults::forkloop,
        "forkloop COUNT",
        "fork, exec and wait, many times",
    ),
    tool("free", util::system::free, "free [-hbm]", "memory"),
    tool(
        "grep",
        util::grep::run,
        "grep [-EFivncrqlLhHwxos] [-e PATTERN]... [PATTERN] [FILE]...",
        "lines that match",
    ),
    tool(
        "head",
        util::ends::head,
        "head [-n COUNT | -c COUNT] [FILE]...",
        "start of files",
    ),
    tool(
        "hexdump",
        util::bytes::hexdump,
        "hexdump [-Cv] [-n LENGTH] [-s OFFSET] [FILE]...",
        "bytes as numbers",
    ),
    tool("id", util::system::id, "id [-ugn]", "who the user is"),
    tool(
        "kill",
        util::kill::run,
        "kill [-SIGNAL | -s SIGNAL] PID... | kill -l",
        "send signals",
    ),
    tool(
        "kwrite",
        util::faults::kwrite,
        "kwrite",
        "write to the kernel's memory",
    ),
    tool(
        "limitcheck",
        util::limitcheck::run,
        "limitcheck [NAME]...",
        "check what resource limits do",
    ),
    tool(
        "ln",
        util::files::ln,
        "ln [-sfn] TARGET... LINK",
        "make links",
    ),
    tool(
        "ipccheck",
        util::ipccheck::run,
        "ipccheck [NAME]...",
        "check the system's queues, semaphores, sockets and events",
    ),
    tool(
        "lockcheck",
        util::lockcheck::run,
        "lockcheck [NAME]...",
        "check the system's file locks",
    ),
    tool(
        "ls",
        util::ls::run,
        "ls [-la1AdhiRrtSFC] [FILE]...",
        "what is in directories",
    ),
    tool(
        "mapfill",
        util::mapfill::run,
        "mapfill [-r] FILE PAGES",
        "touch the pages of a file until that fails",
    ),
    tool(
        "mapwrite",
        util::memcheck::mapwrite,
        "mapwrite [-n] FILE TEXT",
        "write to a file through a mapping",
    ),
    tool(
        "memcheck",
        util::memcheck::run,
        "memcheck [NAME]...",
        "check the system's memory calls",
    ),
    tool(
        "mkdir",
        util::files::mkdir,
        "mkdir [-p] [-m MODE] DIRECTORY...",
        "make directories",
    ),
    tool(
        "mkfifo",
        util::files::mkfifo,
        "mkfifo [-m MODE] PATH...",
        "make named pipes",
    ),
    tool(
        "mount",
        util::disk::mount,
        "mount [-t TYPE] [-o ro|rw|OPTION,...] [DEVICE DIRECTORY]",
        "attach a file system",
    ),
    tool(
        "mv",
        util::copy::mv,
        "mv [-f] SOURCE... DESTINATION",
        "move files and trees",
    ),
    tool(
        "nice",
        util::launch::nice,
        "nice [-n INCREMENT] COMMAND [ARGUMENT]...",
        "run with lower priority",
    ),
    tool(
        "nproc",
        util::simple::nproc,
        "nproc",
        "number of processors",
    ),
    tool(
        "poweroff",
        util::system::poweroff,
        "poweroff [STATUS]",
        "end the machine with a status",
    ),
    tool(
        "printf",
        util::printf::run,
        "printf FORMAT [ARGUMENT]...",
        "print by a format",
    ),
    tool("ps", util::system::ps, "ps", "processes"),
    tool("pwd", util::simple::pwd, "pwd", "working directory"),
    tool(
        "readlink",
        util::simple::readlink,
        "readlink [-f] PATH...",
        "target of a symbolic link",
    ),
    tool(
        "reboot",
        util::system::reboot,
        "reboot",
        "reset the machine",
    ),
    tool(
        "renice",
        util::priority::renice,
        "renice [-n] NICE [-p|-g|-u] ID...",
        "change nice values",
    ),
    tool(
        "rm",
        util::files::rm,
        "rm [-rf] FILE...",
        "remove files and trees",
    ),
    tool(
        "rmdir",
        util::files::rmdir,
        "rmdir DIRECTORY...",
        "remove empty directories",
    ),
    tool(
        "robustcheck",
        util::robustcheck::run,
        "robustcheck [NAME]...",
        "check the system's robust locks",
    ),
    tool(
        "rtlat",
        util::rtlat::rtlat,
        "rtlat [-n SAMPLES] [-i MICROSECONDS] [-l THREADS]",
        "how late a real-time thread wakes",
    ),
    tool(
        "scaling",
        util::scaling::scaling,
        "scaling [-n THREADS] [-c CPUS] [-r ROUNDS]",
        "how much sooner busy threads are done on more processors",
    ),
    tool("segv", util::faults::segv, "segv", "read address 0"),
    tool(
        "seq",
        util::seq::run,
        "seq [-w] [-s TEXT] [FIRST [STEP]] LAST",
        "numbers in order",
    ),
    tool(
        "sh",
        sh::run,
        "sh [-efuxi] [-c COMMAND [NAME [ARGUMENT]...] | SCRIPT [ARGUMENT]... | -s]",
        "the shell",
    ),
    tool(
        "sha256sum",
        util::sha256::run,
        "sha256sum [-c] [FILE]...",
        "checksums",
    ),
    tool("sleep", util::simple::sleep, "sleep SECONDS...", "wait"),
    tool(
        "sort",
        util::sort::run,
        "sort [-rnufbsc] [-k KEY]... [-t C] [-o FILE] [FILE]...",
        "lines in order",
    ),
    tool(
        "spin",
        util::faults::spin,
        "spin [SECONDS]",
        "keep a processor busy",
    ),
    tool(
        "stat",
        util::stat::run,
        "stat [-L] [-c FORMAT] FILE...",
        "all about files",
    ),
    tool(
        "stty",
        util::system::stty,
        "stty [size | sane | [-]raw | [-]echo | [-]icanon | [-]isig]...",
        "settings of the terminal",
    ),
    tool(
        "sync",
        util::simple::sync,
        "sync",
        "write buffered data to the disks",
    ),
    tool(
        "syscall",
        util::faults::syscall,
        "syscall NUMBER",
        "make a system call with zeros",
    ),
    tool(
        "tail",
        util::ends::tail,
        "tail [-n COUNT | -c COUNT] [FILE]...",
        "end of files",
    ),
    tool(
        "taskset",
        util::priority::taskset,
        "taskset [-c] CPUS COMMAND [ARGUMENT]... | taskset [-c] -p [CPUS] PID",
        "choose CPUs",
    ),
    tool(
        "tee",
        util::simple::tee,
        "tee [-a] [FILE]...",
        "copy input to output and to files",
    ),
    tool(
        "test",
        util::test::run,
        "test EXPRESSION",
        "test a condition",
    ),
    tool(
        "time",
        util::launch::time,
        "time COMMAND [ARGUMENT]...",
        "how long a command takes",
    ),
    tool(
        "top",
        util::top::run,
        "top [-b] [-n COUNT] [-d SECONDS]",
        "who uses the CPUs",
    ),
    tool(
        "touch",
        util::files::touch,
        "touch [-c] [-r FILE] [-d @SECONDS] FILE...",
        "set times, make files",
    ),
    tool(
        "tr",
        util::columns::tr,
        "tr [-cds] SET1 [SET2]",
        "replace characters",
    ),
    tool("true", util::simple::true_, "true", "succeed"),
    tool(
        "truncate",
        util::files::truncate,
        "truncate -s [+-]SIZE FILE...",
        "set lengths",
    ),
    tool("tty", util::simple::tty, "tty", "name of the terminal"),
    tool(
        "umount",
        util::disk::umount,
        "umount DIRECTORY...",
        "detach a file system",
    ),
    tool(
        "uname",
        util::system::uname,
        "uname [-asnrvmo]",
        "names of the system",
    ),
    tool(
        "uniq",
        util::columns::uniq,
        "uniq [-cdui] [FILE]",
        "lines without repetitions",
    ),
    tool(
        "wc",
        util::wc::run,
        "wc [-lwcm] [FILE]...",
        "count lines, words, bytes",
    ),
    tool(
        "which",
        util::launch::which,
        "which [-a] NAME...",
        "where programs are",
    ),
    tool("whoami", util::system::whoami, "whoami", "name of the user"),
    tool(
        "xargs",
        util::launch::xargs,
        "xargs [-0rt] [-n COUNT] [-I TEXT] [COMMAND [ARGUMENT]...]",
        "run a command on what is read",
    ),
    tool(
        "yes",
        util::simple::yes,
        "yes [TEXT]...",
        "print a line for ever",
    ),
];
