//! Manifests, and packets of gdb's remote protocol.

/// Every key of a manifest, and some of the ways to get them wrong.
pub fn manifest() -> Vec<Vec<u8>> {
    let full = "kernel = \"target/image/ferrix-kernel\"\ncpus = 2\nmemory = \"64M\"\nappend = \"quiet\"\n\
                command = \"sh -c 'echo hi'\"\nroot = \"ext2\"\nconsole = \"unix:c.sock\"\n\n[[module]]\n\
                path = \"init\"\nargs = \"init a b\"\n\n[[disk]]\npath = \"root.img\"\nsnapshot = true\n\n\
                [[disk]]\npath = \"b.img\"\nread_only = true\n";
    let others = [
        "kernel = 'k'",
        "kernel = 'k'\nmemory = 1048576\nconsole = 'pty'",
        "kernel = 'k'\nmodule = [{ path = 'a' }, { path = 'b', args = '' }]\ndisk = []",
        "kernel = 1",
        "kernel = 'k'\nkernal = 'k'",
        "kernel = 'k'\ncpus = -1\nmemory = '1.5G'",
        "kernel = 'k'\n[[disk]]\npath = 'd'\nread_only = true\nsnapshot = true",
        "kernel = \"\\u00e4\"\nmemory = '99999999999G'",
        "[[disk]]\npath",
    ];
    let all = [full].into_iter().chain(others);
    all.map(|text| text.as_bytes().to_vec()).collect()
}

/// A packet with its checksum.
fn packet(content: &str) -> String {
    let sum = content.bytes().fold(0u8, u8::wrapping_add);
    format!("+${content}#{sum:02x}")
}

/// A session's packets behind the byte that chooses what the machine does meanwhile.
fn session(choice: u8, packets: &[&str]) -> Vec<u8> {
    let mut bytes = vec![choice];
    let packets = packets.iter().map(|content| packet(content));
    bytes.extend(packets.collect::<String>().into_bytes());
    bytes
}

/// What gdb sends: hello, registers, memory, breakpoints, steps, monitor commands, goodbye.
pub fn gdb() -> Vec<Vec<u8>> {
    let hello = [
        "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386",
        "vMustReplyEmpty",
        "QStartNoAckMode",
        "Hg0",
        "qXfer:features:read:target.xml:0,ffb",
        "qTStatus",
        "?",
        "qfThreadInfo",
        "qsThreadInfo",
        "qThreadExtraInfo,p1.1",
        "qC",
        "g",
    ];
    let memory = [
        "m100,40",
        "mffffffff80000000,10",
        "m0,fff",
        "M200,4:90909090",
        "X200,0:",
        "Z0,100,1",
        "Z0,101,1",
        "m100,4",
        "z0,100,1",
        "z0,999,1",
        "Z1,100,1",
        "Z2,100,8",
    ];
    let runs = ["vCont?", "vCont;s:p1.1", "vCont;c", "Hc-1", "c"];
    let monitor = [
        "qRcmd,68656c70",
        "qRcmd,696e666f",
        "qRcmd,7374617473",
        "qRcmd,",
    ];
    let reset = ["qRcmd,7472616e736c61746520307831303030", "D;1"];
    let registers = [
        "p0",
        "p10",
        "P10=0000100000000000",
        "P99=00",
        "G00",
        "Hg2",
        "g",
    ];
    let mut interrupted = session(0, &["vCont;c"]);
    interrupted.push(3);
    interrupted.extend(session(0, &["g"]).split_off(1));
    vec![
        session(0, &hello),
        session(1, &memory),
        session(1, &runs),
        session(7, &["vCont;c:p1.-1"]),
        session(0, &monitor),
        session(0, &reset),
        session(0, &registers),
        session(0, &["k"]),
        interrupted,
        b"\0$m0,1#00$}\x03#..+-$#00".to_vec(),
    ]
}
