use proptest::prelude::*;

use super::*;

fn extended(text: &str) -> Regex {
    Regex::new(text.as_bytes(), Syntax::Extended, Case::Distinct).unwrap()
}

#[test]
fn extended_expressions() {
    for (expression, text, expected) in [
        ("abc", "xabcx", true),
        ("^abc$", "abc", true),
        ("^abc$", "abcd", false),
        ("a.c", "axc", true),
        ("ab*c", "ac", true),
        ("ab+c", "ac", false),
        ("ab?c", "abbc", false),
        ("(ab|cd)+$", "xabcdab", true),
        ("^(ab|cd)+$", "abx", false),
        ("[a-c]+[^0-9]", "b7", false),
        ("[[:digit:]]{3}", "12 345", true),
        ("^a{2,3}$", "aaaa", false),
        ("x{0}y", "y", true),
        ("[]a]", "]", true),
        ("a|", "", true),
        ("\\.", "a", false),
        ("()", "x", true),
        ("(a*)*b", "aaab", true),
        ("\\w+ \\S", "ab c", true),
    ] {
        assert_eq!(
            extended(expression).matches(text.as_bytes()),
            expected,
            "{expression} {text}"
        );
    }
}

#[test]
fn basic_expressions_write_operators_with_a_backslash() {
    for (expression, text, expected) in [
        ("a+", "a+", true),
        ("a\\+$", "baa", true),
        ("\\(ab\\)*c", "ababc", true),
        ("a\\|b", "xb", true),
        ("^*a", "*a", true),
        ("a^b$c", "a^b$c", true),
        ("a\\{2\\}", "aa", true),
        ("*a", "*a", true),
    ] {
        let regex = Regex::new(expression.as_bytes(), Syntax::Basic, Case::Distinct).unwrap();
        assert_eq!(
            regex.matches(text.as_bytes()),
            expected,
            "{expression} {text}"
        );
    }
}

#[test]
fn case_and_fixed_texts() {
    assert!(
        Regex::new(b"aB[c]", Syntax::Extended, Case::Folded)
            .unwrap()
            .matches(b"xAbC")
    );
    assert!(
        Regex::new(b"a.c", Syntax::Fixed, Case::Distinct)
            .unwrap()
            .matches(b"a.c")
    );
    assert!(
        !Regex::new(b"a.c", Syntax::Fixed, Case::Distinct)
            .unwrap()
            .matches(b"abc")
    );
}

#[test]
fn the_longest_match_is_found() {
    assert_eq!(extended("a|ab|abc").find(b"xabcd", 0), Some((1, 4)));
    assert_eq!(extended("[0-9]+").find(b"a12b345", 3), Some((4, 7)));
    assert_eq!(extended("z").find(b"abc", 0), None);
}

#[test]
fn errors_say_what_is_wrong() {
    for expression in ["(a", "[a", "a{2", "a{3,2}", "a\\", "(a)\\1", "a{1,1000}"] {
        assert!(Regex::new(expression.as_bytes(), Syntax::Extended, Case::Distinct).is_err());
    }
    let bomb = "((((a{200}){200}){200}){200})";
    assert!(Regex::new(bomb.as_bytes(), Syntax::Extended, Case::Distinct).is_err());
    assert!(Regex::new(&b"(".repeat(5000), Syntax::Extended, Case::Distinct).is_err());
}

#[test]
fn time_stays_linear() {
    let regex = extended("(a*)*(a*)*(a|aa)+$");
    assert!(!regex.matches(&[b"a".repeat(3000), b"b".to_vec()].concat()));
}

proptest! {
    #[test]
    fn any_expression_is_answered(expression: Vec<u8>, text: Vec<u8>) {
        for syntax in [Syntax::Basic, Syntax::Extended] {
            if let Ok(regex) = Regex::new(&expression, syntax, Case::Folded) {
                prop_assert_eq!(regex.matches(&text), regex.find(&text, 0).is_some());
            }
        }
    }

    #[test]
    fn operators_in_any_order_are_answered(expression in "[ab(|)*+?{}1,\\[\\]^$.\\\\-]{0,12}", text in "[ab]{0,8}") {
        if let Ok(regex) = Regex::new(expression.as_bytes(), Syntax::Extended, Case::Distinct) {
            let found = regex.find(text.as_bytes(), 0);
            prop_assert_eq!(regex.matches(text.as_bytes()), found.is_some());
        }
    }

    #[test]
    fn fixed_texts_agree_with_search(needle in "[ab]{1,3}", text in "[ab]{0,10}") {
        let regex = Regex::new(needle.as_bytes(), Syntax::Fixed, Case::Distinct).unwrap();
        prop_assert_eq!(regex.find(text.as_bytes(), 0).map(|(start, _)| start), text.find(&needle));
    }
}
