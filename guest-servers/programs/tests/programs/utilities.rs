//! The utilities, by what they print.

use crate::sandbox::Sandbox;

#[test]
fn files() {
    let sandbox = Sandbox::new();
    sandbox.expect(&[
        ("mkdir -p a/b/c; echo hi > a/f; cp -r a copy; cat copy/f; ls copy; mv copy/f g; cat g", "hi\nb\nf\nhi\n"),
        ("ln g h; ln -s g s; readlink s; stat -c '%h %F %s' h; stat -c %F s; [ g -ef h ] && echo same", "g\n2 regular file 3\nsymbolic link\nsame\n"),
        ("rm g h; rmdir copy 2>/dev/null || echo full; rm -r copy a; rm -f nosuch; ls", "full\ns\n"),
        ("touch -d @86400 t; stat -c %y t; truncate -s 5K t; stat -c %s t; truncate -s -1K t; wc -c < t", "1970-01-02 00:00:00.000000000 +0000\n5120\n4096\n"),
        ("chmod 750 t; stat -c '%a %A' t; chmod u-x,o+r t; stat -c %a t; mkfifo p; [ -p p ] && echo fifo", "750 -rwxr-x---\n654\nfifo\n"),
        ("ls -1 -r; ls -a -d . t; ls -F p", "t\ns\np\n.\nt\np|\n"),
        ("basename /a/b.c .c; dirname /a/b /a x//y/", "b\n/a\n/\nx\n"),
        ("echo x > one; cp -p t two; [ two -nt t ] || echo kept; cmp one two; cmp -s t two; echo $?", "kept\none two differ: byte 1, line 1\n0\n"),
        ("mkdir tree; touch tree/a.c tree/b.h; find tree -name '*.c'; find tree -type d; find . -maxdepth 0 -print", "tree/a.c\ntree\n.\n"),
    ]);
    sandbox.expect_errors(&[
        (
            "cat nosuch one",
            "cat: nosuch: No such file or directory\n",
            1,
        ),
        (
            "rmdir nosuch",
            "rmdir: nosuch: No such file or directory\n",
            1,
        ),
        ("rm tree", "rm: tree: Is a directory\n", 1),
        (
            "ls -Z",
            "ls: -Z: unknown option\nusage: ls [-la1AdhiRrtSFC] [FILE]...\n",
            2,
        ),
        (
            "cp -r tree tree/in",
            "cp: tree: cannot be copied into itself, tree/in\n",
            1,
        ),
        ("cat tree", "cat: tree: Is a directory\n", 1),
        ("mkdir tree", "mkdir: tree: File exists\n", 1),
        (
            "poweroff 300",
            "poweroff: 300: is no status from 0 to 255\nusage: poweroff [STATUS]\n",
            2,
        ),
    ]);
}

#[test]
fn long_listing() {
    let sandbox = Sandbox::new();
    sandbox.script("umask 022; echo hello > f; touch -d @0 f; ln -s f l; mkdir d");
    let listing = sandbox.output("ls -l");
    let lines: Vec<&str> = listing.lines().collect();
    assert!(lines[0].starts_with("total "), "{listing}");
    assert!(
        lines[1].starts_with("drwxr-xr-x 2 ") && lines[1].ends_with(" d"),
        "{listing}"
    );
    assert!(lines[2].starts_with("-rw-r--r-- 1 "), "{listing}");
    assert!(lines[2].ends_with(" 6 Jan  1  1970 f"), "{listing}");
    assert!(
        lines[3].starts_with("lrwxrwxrwx 1 ") && lines[3].ends_with(" l -> f"),
        "{listing}"
    );
}

#[test]
fn text() {
    Sandbox::new().expect(&[
        ("printf 'b 2\\na 10\\nc 1\\n' | sort; printf '3\\n1\\n2\\n3\\n' | sort -nu", "a 10\nb 2\nc 1\n1\n2\n3\n"),
        ("printf 'b 2\\na 10\\nc 1\\n' | sort -k2n | cut -d ' ' -f 1 | tr -d '\\n'; echo", "cba\n"),
        ("seq 5 | head -n 2; seq 5 | tail -n 2; seq 5 | tail -n +4; seq 5 | head -n -4; seq 5 | tail -c 2", "1\n2\n4\n5\n4\n5\n1\n5\n"),
        ("printf 'a b\\nc\\n' | wc; printf 'x\\ny' > f; wc -l f; wc -lc f f", "      2       3       6\n1 f\n      1       3 f\n      1       3 f\n      2       6 total\n"),
        ("printf 'a\\na\\nb\\na\\n' | uniq -c; printf 'a\\na\\nb\\n' | uniq -d", "      2 a\n      1 b\n      1 a\na\n"),
        ("echo hello | tr a-y b-z; echo aabbc | tr -s ab; echo a1b2 | tr -cd '[:digit:]'; echo", "ifmmp\nabc\n12\n"),
        ("echo a:b:c | cut -d: -f1,3; echo abcdef | cut -c 2-3,5-", "a:c\nbcef\n"),
        ("seq 3 | cat -n; seq -s , 1 2 9; seq -w 8 10; seq 1 0.5 2; seq 3 -1 1", "     1\t1\n     2\t2\n     3\t3\n1,3,5,7,9\n08\n09\n10\n1.0\n1.5\n2.0\n3\n2\n1\n"),
        ("printf '%5d|%-5s|%05.1f|%x|%c|%%\\n' 42 ab 3.14159 255 xyz; printf '%s-' a b c; echo", "   42|ab   |003.1|ff|x|%\na-b-c-\n"),
        ("echo -e 'a\\tb\\c'; echo; echo -n x; echo -z", "a\tb\nx-z\n"),
        ("printf 'a b\\nc\\n' | xargs echo; seq 4 | xargs -n 2 echo; echo x | xargs -I {} echo '<{}>'", "a b c\n1 2\n3 4\n<x>\n"),
        ("printf 'hello\\0\\1\\n' | hexdump -C; printf ab | hexdump", "00000000  68 65 6c 6c 6f 00 01 0a                           |hello...|\n00000008\n0000000 6261\n0000002\n"),
        ("printf abc | sha256sum", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n"),
        ("echo one | tee a b; cat a b; echo two | tee -a a > /dev/null; cat a", "one\none\none\none\ntwo\n"),
        ("dd if=/dev/zero of=z bs=1K count=3 status=none; echo x | dd of=z bs=1 seek=1024 conv=notrunc status=none; wc -c < z; dd if=z bs=1K skip=1 count=1 status=none | head -c 1", "3072\nx"),
    ]);
}

#[test]
fn grep() {
    let sandbox = Sandbox::new();
    sandbox.script("printf 'one\\nTwo\\nthree\\n' > f; mkdir d; echo one more > d/g");
    sandbox.expect(&[
        ("grep o f; grep -c e f; grep -n '^t' f; grep -in '^T' f; grep -v e f", "one\nTwo\n2\n3:three\n2:Two\n3:three\nTwo\n"),
        ("grep -E 'one|hree$' f; grep 'o\\(n\\|x\\)e' f; grep -F . f; echo $?", "one\nthree\none\n1\n"),
        ("grep -r one .; grep -l one f d/g; grep -q one f && echo quiet; grep -ow 'o[a-z]*' d/g", "d/g:one more\nf:one\nf\nd/g\nquiet\none\n"),
        ("grep one nosuch 2>/dev/null; echo $?; grep '[' f 2>/dev/null; echo $?; echo ab | grep -x a; echo $?", "2\n2\n1\n"),
    ]);
    sandbox.expect_errors(&[("grep '\\(a' f", "grep: \\\\(a: a group is not closed\n", 2)]);
}

#[test]
fn system() {
    let sandbox = Sandbox::new();
    sandbox.expect(&[
        (
            "date -d @0; date -d @86399 +%H:%M:%S",
            "Thu Jan  1 00:00:00 UTC 1970\n23:59:59\n",
        ),
        (
            "env -i a=1 b=2; env -u HOME sh -c 'echo ${HOME-gone}'; x=1 env | grep ^x",
            "a=1\nb=2\ngone\nx=1\n",
        ),
        (
            "uname -m; uname -s | wc -l; [ $(nproc) -ge 1 ] && echo n",
            "x86_64\n1\nn\n",
        ),
        (
            "syscall 9999; test 1 -lt 2 && [ a != b ] && echo t; [ -t 0 ] || tty",
            "ENOSYS\nt\nnot a tty\n",
        ),
        (
            "[ $(spin 0.05) -ge 0 ] && echo cpu; [ $(cpus 2 | wc -w) -ge 1 ] && echo cpus",
            "cpu\ncpus\n",
        ),
        (
            "mount | grep -c ' / ' > /dev/null && echo root; df / | wc -l; du -s . | cut -f 2",
            "root\n2\n.\n",
        ),
        (
            "which sh | grep -c bin/sh; ps | head -n 1 | tr -s ' '",
            "1\n PID PPID STAT VSZ TIME COMMAND\n",
        ),
        (
            "kill -l TERM; kill -l 139; (sleep 9 & kill -0 $! && echo there; kill $!)",
            "15\nSEGV\nthere\n",
        ),
        (
            "time true 2>&1 | head -n 1 | cut -d ' ' -f 1; nice true; echo $?; free | head -c 8",
            "real\n0\n        ",
        ),
    ]);
    let ps = sandbox.output("ps");
    assert!(ps.lines().any(|line| line.ends_with(" ps")), "{ps}");
}

#[test]
fn a_closed_pipe_ends_a_program_quietly() {
    use std::os::unix::process::ExitStatusExt;
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command("yes")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().signal(), Some(13));
    let full = sandbox.script("echo x > /dev/full; echo $?; seq 3 > /dev/full");
    assert_eq!(
        String::from_utf8_lossy(&full.stderr),
        "echo: standard output: No space left on device\n\
         seq: standard output: No space left on device\n"
    );
}
