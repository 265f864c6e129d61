//! Debian's busybox as it is: a static program of glibc, which chooses code by the CPU's features when it starts.

use anyhow::{Context, Result};
use ferrix_tests::host::{self, Need};
use ferrix_tests::{Disk, Guest, Options};
use libtest_mimic::Trial;

use crate::trial::{everywhere, needs};

pub fn trials() -> Vec<Trial> {
    let tools = everywhere("busybox::tools_work", tools_work);
    vec![needs(tools, &[Need::Busybox])]
}

/// Its shell, and tools that read, write, walk, pack, compute and ask the system.
fn tools_work() -> Result<()> {
    let busybox = host::in_path("busybox").context("busybox")?;
    let disk = Disk::copy()?;
    disk.add(&[busybox], "/real")?;
    let mut guest = Guest::at_prompt(&disk, Options::new())?;
    guest.check("b=/real/busybox", "")?;
    for (command, expected) in [
        (
            "$b ash -c 'i=0; while [ $i -lt 5 ]; do i=$((i+1)); done; echo $i $(echo sub | tr a-z A-Z)'",
            "5 SUB\n",
        ),
        (
            "$b ash -c 'trap \"echo bye\" EXIT; f() { local a=$1; echo ${a%%.*}; }; f x.y'",
            "x\nbye\n",
        ),
        (
            "$b awk 'BEGIN { printf \"%.3f\\n\", 7 * 1.5; \"echo in\" | getline d; print d }'",
            "10.500\nin\n",
        ),
        (
            "$b seq 1 2000 > /tmp/n; $b md5sum < /tmp/n",
            "ea4d0a24dabcaa11f9aa979b872d162b  -\n",
        ),
        (
            "$b tar cf /dev/shm/t.tar tmp/n && $b gzip /dev/shm/t.tar; echo $?",
            "0\n",
        ),
        (
            "$b mkdir /tmp/u && $b tar xzf /dev/shm/t.tar.gz -C /tmp/u; $b cmp /tmp/n /tmp/u/tmp/n; echo $?",
            "0\n",
        ),
        (
            "$b find /tmp/u -type f | $b xargs -n 1 $b wc -l",
            "2000 /tmp/u/tmp/n\n",
        ),
        ("$b sort -rn /tmp/n | $b head -n 2", "2000\n1999\n"),
        (
            "$b sed -n 's/^19\\(99\\)$/\\1/p' /tmp/n | $b grep -c 9",
            "1\n",
        ),
        ("$b timeout 1 $b sleep 50; echo $?", "Terminated\n143\n"),
        (
            "t=GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512BW,-AVX_Fast_Unaligned_Load",
            "",
        ),
        // Wherever the strings on the stack end.
        (
            "for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do x=$i$x; $b env X=$x $t $b true || echo $x; done",
            "",
        ),
        (
            "$b stat -c '%a %U %s' /tmp/n; $b realpath /tmp/../etc",
            "644 root 8893\n/etc\n",
        ),
    ] {
        guest.check(command, expected)?;
    }
    guest.power_off(0)?;
    disk.check()
}
