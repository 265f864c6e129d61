//! `sha256sum`: checksums by FIPS 180-4.

use std::ffi::OsStr;
use std::io::{self, Read, Write};

use crate::cx::{Cx, Fail, Outcome, inputs, open};

/// `sha256sum [-c] [FILE]...`; `-c` checks the sums that the files list.
pub fn run(cx: &mut Cx) -> Outcome {
    let opts = cx.options("cbt")?;
    for name in inputs(&opts.operands) {
        if opts.has('c') {
            check(cx, &name)?;
            continue;
        }
        match sum(&name) {
            Ok(sum) => writeln!(cx.out, "{sum}  {}", name.display())?,
            Err(why) => cx.warn(&name, &why),
        }
    }
    Ok(cx.status())
}

fn check(cx: &mut Cx, list: &OsStr) -> Result<(), Fail> {
    let mut text = String::new();
    open(list)
        .and_then(|mut input| input.read_to_string(&mut text))
        .map_err(|why| Fail::on(list, &why))?;
    for line in text.lines() {
        let Some((expected, name)) = line.split_once(' ') else {
            cx.complain(&format!("{}: {line}: is no checksum line", list.display()));
            continue;
        };
        let name = name.trim_start_matches([' ', '*']);
        match sum(OsStr::new(name)) {
            Ok(sum) if sum == expected => writeln!(cx.out, "{name}: OK")?,
            Ok(_) => {
                writeln!(cx.out, "{name}: FAILED")?;
                cx.raise(1);
            }
            Err(why) => cx.warn(name, &why),
        }
    }
    Ok(())
}

fn sum(name: &OsStr) -> io::Result<String> {
    let mut input = open(name)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(hash
        .finish()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The state of a sum.
struct Sha256 {
    state: [u32; 8],
    block: Vec<u8>,
    length: u64,
}

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const K: [u32; 64] = roots(3);

/// The same of the square roots of the first 8.
const INITIAL: [u32; 8] = roots(2);

/// The fractional bits of the `degree`-th roots of the first `N` primes.
const fn roots<const N: usize>(degree: u32) -> [u32; N] {
    let mut result = [0; N];
    let (mut index, mut candidate) = (0, 2u128);
    while index < N {
        let mut divisor = 2;
        while divisor * divisor <= candidate && !candidate.is_multiple_of(divisor) {
            divisor += 1;
        }
        if divisor * divisor > candidate {
            result[index] = root_fraction(candidate, degree);
            index += 1;
        }
        candidate += 1;
    }
    result
}

/// 32 bits of the fraction of a root, by bisection in fixed point.
const fn root_fraction(number: u128, degree: u32) -> u32 {
    let target = number << (32 * degree);
    let (mut low, mut high) = (0u128, 1u128 << 37);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if middle.pow(degree) <= target {
            low = middle;
        } else {
            high = middle;
        }
    }
    low as u32
}

impl Sha256 {
    fn new() -> Self {
        Self {
            state: INITIAL,
            block: Vec::with_capacity(64),
            length: 0,
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at((64 - self.block.len()).min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == 64 {
                self.compress();
                self.block.clear();
            }
        }
    }

    fn finish(mut self) -> [u8; 32] {
        let bits = self.length * 8;
        self.update(&[0x80]);
        while self.block.len() != 56 {
            self.update(&[0]);
        }
        self.update(&bits.to_be_bytes());
        let mut sum = [0; 32];
        for (bytes, word) in sum.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        sum
    }

    fn compress(&mut self) {
        let mut w = [0u32; 64];
        for (word, bytes) in w.iter_mut().zip(self.block.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        for t in 16..64 {
            let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
            let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
            w[t] = w[t - 16]
                .wrapping_add(s0)
                .wrapping_add(w[t - 7])
                .wrapping_add(s1);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
        for t in 0..64 {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let t1 = h
                .wrapping_add(s1)
                .wrapping_add(choice)
                .wrapping_add(K[t])
                .wrapping_add(w[t]);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            let t2 = s0.wrapping_add(majority);
            (h, g, f, e) = (g, f, e, d.wrapping_add(t1));
            (d, c, b, a) = (c, b, a, t1.wrapping_add(t2));
        }
        for (word, add) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = word.wrapping_add(add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &[u8]) -> String {
        let mut hash = Sha256::new();
        text.chunks(7).for_each(|chunk| hash.update(chunk));
        hash.finish()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    #[test]
    fn vectors_of_the_standard() {
        assert_eq!(
            hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }
}
