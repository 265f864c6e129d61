//! The shell, run as a process with our own utilities around it.

use crate::sandbox::Sandbox;

#[test]
fn pipelines() {
    Sandbox::new().expect(&[
        ("seq 1 1000 | sort -rn | head -1", "1000\n"),
        ("echo hello | wc -c", "6\n"),
        ("echo a | (cat; echo b) | { cat; echo c; } | wc -l", "3\n"),
        (
            "false | true; echo $?; true | false; echo $?; ! true; echo $?",
            "0\n1\n1\n",
        ),
        ("yes | head -n 2; echo $?", "y\ny\n0\n"),
        ("x=1; echo 5 | read x; echo $x", "1\n"),
        (
            "for i in 1 2 3; do echo $i; done | while read n; do echo $((n * 2)); done",
            "2\n4\n6\n",
        ),
    ]);
}

#[test]
fn quoting() {
    Sandbox::new().expect(&[
        (
            r#"echo 'a  $x "' "b  \"\$x\\" c\ \ d \$x"#,
            "a  $x \" b  \"$x\\ c  d $x\n",
        ),
        (r#"x='a  b'; echo $x "$x" '$x'"#, "a b a  b $x\n"),
        (
            r#"printf '<%s>' "" '' a"" "$none" $none; echo"#,
            "<><><a><>\n",
        ),
        ("echo a\\\nb", "ab\n"),
        ("echo \"a\\\nb\"", "ab\n"),
        ("echo a#b #c", "a#b\n"),
        (
            r#"set -- 'a b' '' c; printf '<%s>' "$@"; echo; printf '<%s>' "$*"; echo; echo $#"#,
            "<a b><><c>\n<a b  c>\n3\n",
        ),
        (r#"set --; printf '<%s>' "$@" x; echo"#, "<x>\n"),
        (
            r#"set -- a b; printf '<%s>' "p$@s"; IFS=:; echo "$*""#,
            "<pa><bs>a:b\n",
        ),
    ]);
}

#[test]
fn parameters() {
    Sandbox::new().expect(&[
        (
            "x=v; echo ${x}y $x.z ${#x} ${none:-d} ${none-} ${x:+set} ${none:+set}.",
            "vy v.z 1 d set .\n",
        ),
        (
            "e=; echo ${e-unset} ${e:-empty} ${n:=new} $n",
            "empty new new\n",
        ),
        (
            "p=/a/b.c.d; echo ${p##*/} ${p%.*} ${p%%.*} ${p#*/}",
            "b.c.d /a/b.c /a/b a/b.c.d\n",
        ),
        (r#"x='*'; y="a*b"; echo "${y#a"$x"}" ${y%"*b"}"#, "b a\n"),
        (
            "set -- 1 2 3 4 5 6 7 8 9 ten; echo $1 ${10} $10 $#; shift 8; echo $1 $#",
            "1 ten 10 10\n9 2\n",
        ),
        (
            "x=1 y=$x; echo $y; x=2 sh -c 'echo $x'; echo $x",
            "1\n2\n1\n",
        ),
        (
            "export a=1; unset a; echo ${a-none}; readonly r=1; (r=2) 2>/dev/null; echo $?",
            "none\n1\n",
        ),
        (
            r#"x="a b c"; set -- $x; echo $#; IFS=,; x=1,2,,3; set -- $x; echo $#"#,
            "3\n4\n",
        ),
        (
            "echo ~ ~/x a~ '~'; x=~/y; echo $x",
            "/home/me /home/me/x a~ ~\n/home/me/y\n",
        ),
        (r#"echo "${none:-"a  b"}" ${none:-c   d}"#, "a  b c d\n"),
        ("sh -c 'echo $0 $1' name arg", "name arg\n"),
    ]);
}

#[test]
fn substitution_and_arithmetic() {
    Sandbox::new().expect(&[
        ("echo $(echo a; echo b) `echo c \\`echo d\\``", "a b c d\n"),
        (r#"x="$(printf 'a\n\nb\n\n\n')"; echo "$x""#, "a\n\nb\n"),
        (
            "x=$(false); echo $?; x=$(exit 7) y=2; echo $?; x=1; echo $?",
            "1\n7\n0\n",
        ),
        (
            "echo $((2 + 3 * 4)) $(( (2+3)*4 )) $((7 % 3)) $((1 << 4)) $((5 > 3 ? 10 : 20))",
            "14 20 1 16 10\n",
        ),
        (
            "i=5; echo $((i++)) $i $((i += 10)) $(($i - 1)) $((-i))",
            "5 6 16 15 -16\n",
        ),
        (
            "echo $(case a in a) echo in;; esac) $( (echo sub) )",
            "in sub\n",
        ),
        (
            "echo \"$(echo \"inner $(echo 'deep  er')\")\"",
            "inner deep  er\n",
        ),
    ]);
}

#[test]
fn globs() {
    let sandbox = Sandbox::new();
    sandbox.expect(&[
        ("touch a1 a2 b1 .hidden 'x y'; mkdir d; touch d/f; echo *", "a1 a2 b1 d x y\n"),
        ("echo a? [ab]1 [!a]1 */f .h* none*", "a1 a2 a1 b1 b1 d/f .hidden none*\n"),
        ("echo '*' \"*\" \\*; x='a*'; echo $x \"$x\"", "* * *\na1 a2 a*\n"),
        ("for f in x*; do echo \"<$f>\"; done; set -f; echo *", "<x y>\n*\n"),
        ("case abc in a?c) echo 1;; esac; case 'a*' in 'a*') echo 2;; esac; case ab in 'a*') ;; *) echo 3;; esac", "1\n2\n3\n"),
    ]);
}

#[test]
fn redirections() {
    Sandbox::new().expect(&[
        (
            "echo one > f; echo two >> f; cat < f; wc -l < f",
            "one\ntwo\n2\n",
        ),
        (
            "{ echo out; echo err >&2; } > o 2> e; cat e o",
            "err\nout\n",
        ),
        (
            "sh -c 'echo out; echo err >&2' > both 2>&1; cat both",
            "out\nerr\n",
        ),
        ("nosuch 2>&1 | cat", "sh: line 1: nosuch: not found\n"),
        (
            "cat <<A; echo after\nx $((1+1)) \\$y `echo z`\nA",
            "x 2 $y z\nafter\n",
        ),
        ("cat <<'A'\n$x `y`\nA", "$x `y`\n"),
        ("cat <<-A <<B\n\tone\n\tA\ntwo\nB", "two\n"),
        ("if true; then cat <<A\nin\nA\nfi | cat -n", "     1\tin\n"),
        (
            "exec 3> f3; echo three >&3; exec 3>&-; cat f3; echo x >&3; echo $?",
            "three\n1\n",
        ),
        (
            "while read a b; do echo $b-$a; done <<A\n1 2 3\n4 5\nA",
            "2 3-1\n5-4\n",
        ),
        (
            "echo x > /nonexistent/f; echo $?; cat < nosuch || echo no",
            "1\nno\n",
        ),
        (
            "f() { echo in f; }; f > ff; cat ff; (echo sub) > s; cat s",
            "in f\nsub\n",
        ),
        ("x=$(seq 1 5000); cat <<A | tail -n 1\n$x\nA", "5000\n"),
        (
            "echo keep > f; : > f; cat f; echo new >| f; cat f; echo r <> f",
            "new\nr\n",
        ),
    ]);
}

#[test]
fn control_structures() {
    Sandbox::new().expect(&[
        ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n"),
        ("i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done", "1\n3\n"),
        ("for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done", "1a\n2a\n"),
        ("until [ -e u ]; do touch u; echo made; done; for x; do echo no; done", "made\n"),
        ("f() { local v=in; echo $1 $v; [ $1 = 0 ] || f $(($1 - 1)); return 3; }; v=out; f 2; echo $? $v", "2 in\n1 in\n0 in\n3 out\n"),
        ("true && echo and || echo or; false && echo and || echo or; false; echo $?", "and\nor\n1\n"),
        ("{ echo a; exit 4; echo b; }; echo c", "a\n"),
        ("(cd /; x=1; exit 5); echo $? ${x-unset}; pwd | grep -c work", "5 unset\n1\n"),
        ("set -e; false || true; if false; then :; fi; ! true; echo on; false; echo off", "on\n"),
        ("eval 'x=1; echo $x'; echo 'echo sourced $1; return 2' > s; . ./s arg; echo $?", "1\nsourced arg\n2\n"),
        ("type cd if nosuch 2>/dev/null; command -v echo", "cd is a shell builtin\nif is a word of the grammar\necho\n"),
        ("read a b <<E\none two three\nE\necho $b; printf 'x\\\\\\ny' | { read r; echo $r; }", "two three\nxy\n"),
        ("umask 027; umask; touch m; stat -c %a m", "0027\n640\n"),
    ]);
}

#[test]
fn processes_and_signals() {
    Sandbox::new().expect(&[
        ("sleep 0.1 & wait $!; echo $?; (exit 6) & wait $!; echo $?", "0\n6\n"),
        ("sh -c 'kill -9 $$' 2>/dev/null; echo $?", "137\n"),
        ("segv 2>/dev/null; echo $?; divzero 2>/dev/null; echo $?; execdata 2>/dev/null; echo $?", "139\n136\n139\n"),
        ("kwrite 2>/dev/null; echo $?; forkloop 20", "139\nok\n"),
        ("sleep 10 & kill $!; wait $!; echo $?", "143\n"),
        ("trap 'echo bye' EXIT; trap 'echo got' USR1; kill -USR1 $$; echo next", "got\nnext\nbye\n"),
        ("trap '' TERM; kill $$; echo alive; trap - TERM; kill -l 15", "alive\nTERM\n"),
        ("sh -c 'exit 3'; echo $?; sh -c 'nosuch' 2>/dev/null; echo $?", "3\n127\n"),
        ("sleep 5 & sleep 6 & jobs | sed 2>/dev/null; jobs; kill %1 %2; wait", "[1]  Running      sleep 5\n[2]+ Running      sleep 6\n"),
        ("echo 'echo script $1 $0' > s; chmod +x s; ./s arg; sh s two", "script arg ./s\nscript two s\n"),
    ]);
}

#[test]
fn messages_name_the_command_and_the_cause() {
    let sandbox = Sandbox::new();
    sandbox.expect_errors(&[
        ("segv", "Segmentation fault\n", 139),
        ("divzero; exit $?", "Floating point exception\n", 136),
        ("nosuch", "sh: line 1: nosuch: not found\n", 127),
        ("./", "sh: line 1: ./: is a directory\n", 126),
        (
            "echo > file; ./file",
            "sh: line 1: ./file: Permission denied\n",
            126,
        ),
        (
            "\ncat < nosuch",
            "sh: line 2: nosuch: No such file or directory\n",
            1,
        ),
        (
            "cd /nosuch",
            "sh: line 1: cd: /nosuch: No such file or directory\n",
            1,
        ),
        (
            "echo ${x:?is needed}; echo no",
            "sh: line 1: x: is needed\n",
            1,
        ),
        ("set -u; echo $x; echo no", "sh: line 1: x: is not set\n", 1),
        (
            "echo $((1/0))",
            "sh: line 1: arithmetic: division by zero\n",
            1,
        ),
        (
            "echo a\necho )",
            "sh: line 2: syntax error: unexpected `)'\n",
            2,
        ),
        (
            "if true",
            "sh: line 1: syntax error: the text ends before a command is closed\n",
            2,
        ),
        ("kill -9 %7", "sh: line 1: kill: %7: no such job\n", 2),
        (
            "set -x; x=1; echo $x 'a b' >/dev/null",
            "+ x=1\n+ echo 1 'a b'\n",
            0,
        ),
        (
            "f() { f; }; f",
            "sh: line 1: f: functions call each other more than 200 deep\n",
            1,
        ),
    ]);
    let missing = sandbox.command("sh").arg("nosuch.sh").output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
}

#[test]
fn scripts_from_standard_input_share_it_with_their_commands() {
    let sandbox = Sandbox::new();
    let run = |text: &str| String::from_utf8(sandbox.piped(text).stdout).unwrap();
    assert_eq!(run("read x\ninput\necho got $x\n"), "got input\n");
    assert_eq!(
        run("for i in 1 2\ndo\necho $i\ndone\ncat <<E\nhere\nE\n"),
        "1\n2\nhere\n"
    );
    assert_eq!(run("head -n 0\necho next"), "next\n");
    assert_eq!(sandbox.piped("exit 9\n").status.code(), Some(9));
    assert_eq!(sandbox.piped("echo 'a\n").status.code(), Some(2));
}
