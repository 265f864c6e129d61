use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Map(BTreeMap<Bytes, Bytes>);

impl Variables for Map {
    fn get(&self, name: &[u8]) -> Bytes {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &[u8], value: i64) -> Result<(), String> {
        self.0.insert(name.to_vec(), value.to_string().into_bytes());
        Ok(())
    }
}

fn value(text: &str) -> Result<i64, String> {
    evaluate(text.as_bytes(), &mut Map::default())
}

#[test]
fn precedence_and_operators() {
    for (text, expected) in [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("7/2-7%4", 0),
        ("1<<4|1", 17),
        ("5>3 && 2<1", 0),
        ("5>3 || 1/0", 1),
        ("0 && 1/0", 0),
        ("1 ? 2 : 3/0", 2),
        ("!0 + ~0", 0),
        ("0x1f + 010", 39),
        ("-3 - -2", -1),
        ("a = 4, a += 3, a * 2", 14),
        ("i++ + ++i", 2),
        ("6 & 3 ^ 1", 3),
        ("1 == 1 != 0", 1),
        ("2 - - 2", 4),
        ("", 0),
        ("9223372036854775807 + 1", i64::MIN),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (text, part) in [
        ("1/0", "division by zero"),
        ("1 +", "operand is missing"),
        ("(1", "not closed"),
        ("1 2", "unexpected"),
        ("3 = 4", "only a variable"),
        ("1 ? 2", "without `:'"),
        ("09", "bad number"),
    ] {
        let error = value(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(value(&"(".repeat(10_000)).is_err());
    assert!(value(&"-".repeat(10_001)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "[0-9a-z+*/%()<>=!&|?:,~ -]{0,40}") {
        let _ = value(&text);
    }

    #[test]
    fn agrees_with_rust(a: i32, b: i32, c in 1i32..1000) {
        let (a, b, c) = (i64::from(a), i64::from(b), i64::from(c));
        prop_assert_eq!(value(&format!("({a}) + ({b}) * {c}")), Ok(a + b * c));
        prop_assert_eq!(value(&format!("({a} - {b}) / {c} % 7")), Ok((a - b) / c % 7));
    }
}
