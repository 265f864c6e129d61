//! Arithmetic of `$((...))`: C's integer expressions on 64 bits that wrap. Pure but for the
//! variables, which come through [`Variables`].

use super::ast::Bytes;
use super::dollar::is_name;

#[cfg(test)]
mod tests;

/// Expressions may nest this deep.
const MAX_DEPTH: usize = 100;

/// Where names in an expression get their values.
pub trait Variables {
    /// The text of a variable; absent ones are empty.
    fn get(&self, name: &[u8]) -> Bytes;
    /// Assigns; fails if the variable is read-only.
    fn set(&mut self, name: &[u8], value: i64) -> Result<(), String>;
}

/// The value of `text`, or what is wrong with it.
pub fn evaluate(text: &[u8], variables: &mut dyn Variables) -> Result<i64, String> {
    let mut evaluator = Evaluator {
        text,
        at: 0,
        live: true,
        depth: 0,
        variables,
    };
    if text.trim_ascii().is_empty() {
        return Ok(0);
    }
    let value = evaluator.comma()?;
    evaluator.blanks();
    match &text[evaluator.at..] {
        [] => Ok(value.number),
        rest => Err(format!("arithmetic: unexpected `{}'", rest.escape_ascii())),
    }
}

/// A value and, if it can be assigned to, its name.
struct Value {
    number: i64,
    name: Option<Bytes>,
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self { number, name: None }
    }
}

struct Evaluator<'a> {
    text: &'a [u8],
    at: usize,
    /// False in the branch that is not taken: it is parsed but has no effect.
    live: bool,
    depth: usize,
    variables: &'a mut dyn Variables,
}

/// Binary operators by precedence, from the loosest; longer ones before their prefixes.
const LEVELS: [&[&[u8]]; 8] = [
    &[b"|"],
    &[b"^"],
    &[b"&"],
    &[b"==", b"!="],
    &[b"<=", b">=", b"<", b">"],
    &[b"<<", b">>"],
    &[b"+", b"-"],
    &[b"*", b"/", b"%"],
];

/// Assignments: the operator before the `=`.
const ASSIGNMENTS: [&[u8]; 11] = [
    b"<<=", b">>=", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"^=", b"|=", b"=",
];

impl Evaluator<'_> {
    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn ahead(&mut self, operator: &[u8]) -> bool {
        self.blanks();
        self.text[self.at..].starts_with(operator)
    }

    fn take(&mut self, operator: &[u8]) -> bool {
        let there = self.ahead(operator);
        if there {
            self.at += operator.len();
        }
        there
    }

    /// Takes a binary operator, unless it is the start of a longer one.
    fn take_binary(&mut self, operators: &[&'static [u8]]) -> Option<&'static [u8]> {
        self.blanks();
        let rest = &self.text[self.at..];
        let operator = operators
            .iter()
            .find(|operator| rest.starts_with(operator))?;
        let next = rest.get(operator.len());
        let compares = matches!(*operator, b"==" | b"!=" | b"<=" | b">=");
        let doubled = operator.len() == 1 && b"&|<>".contains(&operator[0]);
        if (!compares && next == Some(&b'=')) || (doubled && next == Some(&operator[0])) {
            return None;
        }
        self.at += operator.len();
        Some(operator)
    }

    fn comma(&mut self) -> Result<Value, String> {
        let mut value = self.assignment()?;
        while self.take(b",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("arithmetic: nested more than {MAX_DEPTH} deep"));
        }
        let value = self.assignment_here();
        self.depth -= 1;
        value
    }

    fn assignment_here(&mut self) -> Result<Value, String> {
        let target = self.ternary()?;
        self.blanks();
        let rest = &self.text[self.at..];
        let Some(operator) = ASSIGNMENTS
            .iter()
            .find(|operator| rest.starts_with(operator))
        else {
            return Ok(target);
        };
        if rest.starts_with(b"==") {
            return Ok(target);
        }
        self.at += operator.len();
        let Some(name) = target.name else {
            return Err("arithmetic: only a variable can be assigned to".into());
        };
        let right = self.assignment()?.number;
        let number = match &operator[..operator.len() - 1] {
            [] => right,
            binary => self.apply(binary, target.number, right)?,
        };
        self.store(&name, number)?;
        Ok(number.into())
    }

    fn store(&mut self, name: &[u8], number: i64) -> Result<(), String> {
        if self.live {
            self.variables.set(name, number)
        } else {
            Ok(())
        }
    }

    fn ternary(&mut self) -> Result<Value, String> {
        let condition = self.or()?;
        if !self.take(b"?") {
            return Ok(condition);
        }
        let live = self.live;
        self.live = live && condition.number != 0;
        let first = self.assignment();
        self.live = live && condition.number == 0;
        let colon = self.take(b":");
        let second = self.assignment();
        self.live = live;
        if !colon {
            return Err("arithmetic: `?' without `:'".into());
        }
        let (first, second) = (first?, second?);
        Ok(if condition.number != 0 {
            first.number
        } else {
            second.number
        }
        .into())
    }

    fn or(&mut self) -> Result<Value, String> {
        let mut left = self.and()?;
        while self.take(b"||") {
            let right = self.guarded(left.number == 0, Self::and)?;
            left = i64::from(left.number != 0 || right.number != 0).into();
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Value, String> {
        let mut left = self.binary(0)?;
        while self.take(b"&&") {
            let right = self.guarded(left.number != 0, |this| this.binary(0))?;
            left = i64::from(left.number != 0 && right.number != 0).into();
        }
        Ok(left)
    }

    /// Evaluates with effects only if `wanted`.
    fn guarded(
        &mut self,
        wanted: bool,
        part: impl FnOnce(&mut Self) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let live = self.live;
        self.live = live && wanted;
        let value = part(self);
        self.live = live;
        value
    }

    fn binary(&mut self, level: usize) -> Result<Value, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.take_binary(operators) {
            let right = self.binary(level + 1)?;
            left = self.apply(operator, left.number, right.number)?.into();
        }
        Ok(left)
    }

    fn apply(&self, operator: &[u8], left: i64, right: i64) -> Result<i64, String> {
        Ok(match operator {
            b"|" => left | right,
            b"^" => left ^ right,
            b"&" => left & right,
            b"==" => i64::from(left == right),
            b"!=" => i64::from(left != right),
            b"<=" => i64::from(left <= right),
            b">=" => i64::from(left >= right),
            b"<" => i64::from(left < right),
            b">" => i64::from(left > right),
            b"<<" => left.wrapping_shl(right as u32),
            b">>" => left.wrapping_shr(right as u32),
            b"+" => left.wrapping_add(right),
            b"-" => left.wrapping_sub(right),
            b"*" => left.wrapping_mul(right),
            _ if right == 0 && !self.live => 0,
            _ if right == 0 => return Err("arithmetic: division by zero".into()),
            b"/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }

    fn unary(&mut self) -> Result<Value, String> {
        for (sign, step) in [(b"++", 1), (b"--", -1)] {
            if self.ahead(sign) {
                let at = self.at;
                self.at += 2;
                self.blanks();
                if self
                    .text
                    .get(self.at)
                    .is_some_and(|b| *b == b'_' || b.is_ascii_alphabetic())
                {
                    let target = self.primary()?;
                    return self.step(target, step).map(Value::from);
                }
                self.at = at;
            }
        }
        self.blanks();
        let Some(sign) = self
            .text
            .get(self.at)
            .copied()
            .filter(|sign| b"-+!~".contains(sign))
        else {
            return self.postfix();
        };
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("arithmetic: nested more than {MAX_DEPTH} deep"));
        }
        let number = self.unary()?.number;
        self.depth -= 1;
        Ok(match sign {
            b'-' => number.wrapping_neg(),
            b'!' => i64::from(number == 0),
            b'~' => !number,
            _ => number,
        }
        .into())
    }

    fn postfix(&mut self) -> Result<Value, String> {
        let value = self.primary()?;
        for (sign, step) in [(b"++", 1), (b"--", -1)] {
            if value.name.is_some() && self.take(sign) {
                let before = value.number;
                self.step(value, step)?;
                return Ok(before.into());
            }
        }
        Ok(value)
    }

    fn step(&mut self, target: Value, step: i64) -> Result<i64, String> {
        let number = target.number.wrapping_add(step);
        self.store(&target.name.unwrap_or_default(), number)?;
        Ok(number)
    }

    fn primary(&mut self) -> Result<Value, String> {
        if self.take(b"(") {
            let value = self.comma()?;
            if !self.take(b")") {
                return Err("arithmetic: a parenthesis is not closed".into());
            }
            return Ok(value.number.into());
        }
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .take_while(|&&b| b == b'_' || b.is_ascii_alphanumeric())
            .count();
        let word = &rest[..length];
        self.at += length;
        if is_name(word) {
            let number = self.variable(word)?;
            return Ok(Value {
                number,
                name: Some(word.to_vec()),
            });
        }
        match number(word) {
            Some(number) => Ok(number.into()),
            None if length == 0 => Err("arithmetic: an operand is missing".into()),
            None => Err(format!("arithmetic: {}: bad number", word.escape_ascii())),
        }
    }

    fn variable(&self, name: &[u8]) -> Result<i64, String> {
        let text = self.variables.get(name);
        let text = text.trim_ascii();
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if text.is_empty() {
            return Ok(0);
        }
        let value = number(digits).map(|value| {
            if negative {
                value.wrapping_neg()
            } else {
                value
            }
        });
        value.ok_or_else(|| {
            format!(
                "arithmetic: {}={}: bad number",
                name.escape_ascii(),
                text.escape_ascii()
            )
        })
    }
}

/// Decimal, `0x` or `0` octal digits. Beyond 64 bits they wrap.
fn number(word: &[u8]) -> Option<i64> {
    let (digits, radix) = match word {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        _ => (word, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |sum, &byte| {
        let digit = char::from(byte).to_digit(radix)?;
        Some(
            sum.wrapping_mul(i64::from(radix))
                .wrapping_add(i64::from(digit)),
        )
    })
}
