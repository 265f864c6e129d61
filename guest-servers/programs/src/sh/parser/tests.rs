use proptest::prelude::*;

use super::super::ast::{Command, Param, ParamOp, Simple, Target};
use super::super::quote::quote;
use super::*;

fn parse(text: &str) -> Parsed<Vec<List>> {
    let mut parser = Parser::new(text.as_bytes());
    std::iter::from_fn(|| parser.next_line().transpose()).collect()
}

fn problem(text: &str) -> Problem {
    parse(text).expect_err(text).problem
}

/// The only simple command of a text.
fn simple(text: &str) -> Simple {
    let lists = parse(text).unwrap();
    match &lists[0].items[0].first.commands[0] {
        Command::Simple(simple) => simple.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn words_keep_their_quoting() {
    let words = simple(r#"a'b c'"d $x"\e ~/f"#).words;
    assert_eq!(words.len(), 2);
    assert_eq!(
        words[0].parts,
        [
            Part::Literal(b"a".into()),
            Part::Quoted(b"b c".into()),
            Part::Double(vec![
                Part::Quoted(b"d ".into()),
                Part::Param(Param {
                    name: b"x".into(),
                    op: ParamOp::Value
                }),
            ]),
            Part::Quoted(b"e".into()),
        ]
    );
    assert_eq!(
        words[1].parts,
        [Part::Tilde(vec![]), Part::Literal(b"/f".into())]
    );
}

#[test]
fn assignments_come_first() {
    let command = simple("a=1 b= cmd c=2 2>&1 3< x");
    assert_eq!(command.assignments.len(), 2);
    assert_eq!(command.words.len(), 2);
    assert_eq!(command.redirects[0].fd, 2);
    assert_eq!(command.redirects[1].fd, 3);
}

#[test]
fn here_documents_are_filled_in() {
    let command = simple("cat <<'A' <<-B\n$x\nA\n\t\ty\n\tB\n");
    let text = |index: usize| match &command.redirects[index].target {
        Target::Here(cell) => cell.get().unwrap().parts.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(0), [Part::Quoted(b"$x\n".into())]);
    assert_eq!(text(1), [Part::Quoted(b"y\n".into())]);
}

#[test]
fn items_carry_their_text() {
    let lists = parse("sleep 5 | cat  & echo x # note\n").unwrap();
    let texts: Vec<_> = lists[0]
        .items
        .iter()
        .map(|item| item.text.clone())
        .collect();
    assert_eq!(texts, [b"sleep 5 | cat".to_vec(), b"echo x".to_vec()]);
    assert!(lists[0].items[0].background);
}

#[test]
fn arithmetic_and_subshells_are_told_apart() {
    let part = |text: &str| simple(text).words[1].parts[0].clone();
    assert!(matches!(part("echo $((1+(2)))"), Part::Arith(_)));
    assert!(matches!(part("echo $((a); (b))"), Part::Command(_)));
}

#[test]
fn structures_parse() {
    for text in [
        "if a; then b; elif c; then d; else e; fi",
        "while a\ndo b\ndone > x",
        "until false; do :; done",
        "for i in 1 2; do echo; done",
        "for i\ndo echo; done",
        "case $x in a|b) c;; (d) ;; *) e\nesac",
        "f() { echo; }",
        "f()\n(echo)",
        "{ a; b; } | (c) && ! d || e",
        "echo $(case x in x) y;; esac)",
        "a |\n\n b &&\n c",
        "echo \"${x:-\"a b\"}\" `echo \\`x\\``",
        "echo if then fi",
        "x=`a` y=$(b) cmd",
    ] {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn incomplete_texts_are_known() {
    for text in [
        "if a",
        "if a; then",
        "while x; do y",
        "echo 'a",
        "echo \"a",
        "echo $(a",
        "(a",
        "{ a",
        "a |",
        "a &&",
        "cat <<E\nx",
        "cat <<E",
        "echo ${x",
        "case x in",
        "f()",
        "echo $((1+",
        "for i",
        "echo `a",
    ] {
        assert!(
            parse(text).unwrap_err().is_incomplete(),
            "{text}: {:?}",
            problem(text)
        );
    }
}

#[test]
fn errors_name_what_is_unexpected() {
    for (text, word) in [
        ("fi", "fi"),
        ("a; ; b", ";"),
        ("| a", "|"),
        ("if ; then a; fi", ";"),
        ("a )", ")"),
        ("echo a (", "("),
        ("for 1 in a; do b; done", "1"),
        ("{ a; } b", "b"),
        ("echo ${}", "}"),
    ] {
        assert_eq!(problem(text), Problem::Unexpected(word.into()), "{text}");
    }
    assert_eq!(parse("a\nb\n)\n").unwrap_err().line, 3);
}

#[test]
fn depth_is_limited() {
    for open in ["(", "$(", "{ ", "if ", "`", "\"$(", "${x:-", "$((", "! ! "] {
        let _ = parse(&open.repeat(10_000));
        let _ = parse(&format!("echo {}", open.repeat(10_000)));
    }
    assert_eq!(problem(&"(".repeat(1000)), Problem::TooDeep);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(source: Vec<u8>) {
        let mut parser = Parser::new(&source);
        while let Ok(Some(_)) = parser.next_line() {}
    }

    #[test]
    fn any_shell_like_text_is_answered(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "if", "then", "fi", "for", "x", "in", "do", "done", "case", "esac", "while", "{",
                "}", "(", ")", ";", ";;", "&", "&&", "||", "|", "\n", "<", "<<E", "E", ">", "2>&1",
                "$x", "${x:-", "$(", "$((", "))", "`", "'", "\"", "\\", "#", "x=1", "!", "*", "~",
            ]),
            0..30,
        ),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let source = tokens.join(glue);
        let mut parser = Parser::new(source.as_bytes());
        while let Ok(Some(_)) = parser.next_line() {}
    }

    #[test]
    fn quoting_round_trips(text: Vec<u8>) {
        let mut source = b"echo ".to_vec();
        source.extend(quote(&text));
        let list = Parser::new(&source).next_line().unwrap().unwrap();
        let Command::Simple(simple) = &list.items[0].first.commands[0] else { panic!() };
        prop_assert_eq!(simple.words.len(), 2);
        let mut read = Bytes::new();
        for part in &simple.words[1].parts {
            match part {
                Part::Literal(bytes) | Part::Quoted(bytes) => read.extend_from_slice(bytes),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(read, text);
    }
}
