use super::*;
use proptest::prelude::*;

fn shown(terminal: &mut Terminal) -> String {
    let bytes: Vec<u8> = terminal.output.drain(..).collect();
    String::from_utf8(bytes).unwrap()
}

fn text(readiness: Readiness) -> String {
    match readiness {
        Readiness::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
        Readiness::Wait => "(waits)".to_string(),
    }
}

#[test]
fn lines_are_read_one_at_a_time() {
    let mut terminal = Terminal::default();
    assert_eq!(terminal.read(10), Readiness::Wait);
    terminal.input(b"one\rtwo");
    assert_eq!(text(terminal.read(2)), "on");
    assert_eq!(text(terminal.read(10)), "e\n");
    assert_eq!(terminal.read(10), Readiness::Wait);
    terminal.input(b"!\n");
    assert_eq!(terminal.readable_len(), 5);
    assert_eq!(text(terminal.read(10)), "two!\n");
    assert_eq!(shown(&mut terminal), "one\r\ntwo!\r\n");
}

#[test]
fn end_of_file_is_an_empty_read_or_pushes_a_line() {
    let mut terminal = Terminal::default();
    terminal.input(b"\x04");
    assert_eq!(text(terminal.read(10)), "");
    assert_eq!(terminal.read(10), Readiness::Wait);
    terminal.input(b"ab\x04");
    assert_eq!(text(terminal.read(10)), "ab");
    assert_eq!(terminal.read(10), Readiness::Wait);
}

#[test]
fn after_the_end_of_input_reads_find_the_end() {
    let mut terminal = Terminal::default();
    terminal.input(b"one\ntwo");
    terminal.end_input();
    assert_eq!(text(terminal.read(10)), "one\n");
    assert_eq!(text(terminal.read(10)), "two");
    for _ in 0..2 {
        assert!(terminal.is_readable());
        assert_eq!(text(terminal.read(10)), "");
    }
    let mut raw = *terminal.termios();
    raw.local &= !linux::ICANON;
    terminal.set_termios(raw);
    assert_eq!(text(terminal.read(10)), "");
}

#[test]
fn editing_erases_what_is_shown() {
    let mut terminal = Terminal::default();
    terminal.write(b"$ ");
    terminal.input(b"ab\x7f\x7f\x7f");
    assert_eq!(shown(&mut terminal), "$ ab\x08 \x08\x08 \x08");
    terminal.input(b"one two\x17");
    assert_eq!(shown(&mut terminal), "one two\x08 \x08\x08 \x08\x08 \x08");
    terminal.input(b"\x15x\x01\x7f\n");
    assert!(shown(&mut terminal).ends_with("x^A\x08 \x08\x08 \x08\r\n"));
    assert_eq!(text(terminal.read(10)), "x\n");
}

#[test]
fn signals_drop_what_was_typed() {
    let mut terminal = Terminal::default();
    assert_eq!(terminal.input(b"abc\x03"), [Event::Signal(linux::SIGINT)]);
    assert_eq!(shown(&mut terminal), "^C");
    assert_eq!(
        terminal.input(b"\x1a\x1c"),
        [Event::Signal(linux::SIGTSTP), Event::Signal(linux::SIGQUIT)]
    );
    terminal.input(b"\x16\x03\n");
    assert_eq!(text(terminal.read(9)), "\x03\n");
    let mut raw = *terminal.termios();
    raw.local &= !linux::ISIG;
    terminal.set_termios(raw);
    assert_eq!(terminal.input(b"\x03"), []);
}

#[test]
fn raw_mode_gives_bytes_as_they_come() {
    let mut terminal = Terminal::default();
    terminal.input(b"ty");
    let mut raw = *terminal.termios();
    raw.local &= !(linux::ICANON | linux::ECHO);
    raw.input &= !linux::ICRNL;
    terminal.set_termios(raw);
    assert_eq!(text(terminal.read(10)), "ty");
    assert_eq!(terminal.read(10), Readiness::Wait);
    terminal.input(b"\r\x7f");
    assert_eq!(text(terminal.read(10)), "\r\x7f");
    raw.characters[linux::VMIN as usize] = 0;
    terminal.set_termios(raw);
    assert_eq!(text(terminal.read(10)), "");
    raw.characters[linux::VMIN as usize] = 3;
    terminal.set_termios(raw);
    terminal.input(b"ab");
    assert!(!terminal.is_readable());
    assert_eq!(terminal.read(10), Readiness::Wait);
    assert_eq!(text(terminal.read(2)), "ab");
}

#[test]
fn flow_control_holds_output() {
    let mut terminal = Terminal::default();
    terminal.write(b"a");
    terminal.input(b"\x13");
    assert_eq!(terminal.pending_output(), b"");
    terminal.write(b"b");
    terminal.input(b"\x11");
    assert_eq!(terminal.pending_output(), b"ab");
    terminal.output_taken(1);
    assert_eq!(terminal.pending_output(), b"b");
}

#[test]
fn what_a_lost_reader_took_comes_again() {
    let mut terminal = Terminal::default();
    terminal.input(b"line\nnext\n");
    let Readiness::Bytes(bytes) = terminal.read(10) else {
        panic!()
    };
    terminal.unread(&bytes);
    assert_eq!(text(terminal.read(10)), "line\n");
    assert_eq!(text(terminal.read(10)), "next\n");
}

proptest! {
    #[test]
    fn any_input_keeps_lines_and_bytes_in_step(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        local in any::<u32>(),
        input in any::<u32>(),
        reads in proptest::collection::vec(0usize..40, 0..20),
    ) {
        let mut terminal = Terminal::default();
        let mut termios = *terminal.termios();
        (termios.local, termios.input) = (local, input);
        let half = bytes.len() / 2;
        terminal.input(&bytes[..half]);
        terminal.set_termios(termios);
        terminal.input(&bytes[half..]);
        for length in reads {
            if let Readiness::Bytes(got) = terminal.read(length) {
                prop_assert!(got.len() <= length);
            }
        }
        let lines: usize = terminal.lines.iter().sum();
        prop_assert!(lines <= terminal.ready.len());
        if terminal.termios().has_local(linux::ICANON) {
            prop_assert_eq!(lines, terminal.ready.len());
        }
        prop_assert!(terminal.line.len() + terminal.ready.len() <= LINE_MAX + 1);
    }
}
