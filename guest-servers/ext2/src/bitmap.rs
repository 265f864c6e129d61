//! Searching and changing allocation bitmaps. Bit `n` is bit `n % 8` of byte `n / 8`; set
//! means taken. Bounds are in bits and lie inside the slice.

pub(crate) fn is_set(map: &[u8], bit: u32) -> bool {
    map[bit as usize / 8] & (1 << (bit % 8)) != 0
}

/// The first clear bit in `from..end`.
pub(crate) fn first_clear(map: &[u8], from: u32, end: u32) -> Option<u32> {
    let mut bit = from;
    while bit < end {
        if bit.is_multiple_of(64) && bit + 64 <= end && word(map, bit) == u64::MAX {
            bit += 64;
        } else if is_set(map, bit) {
            bit += 1;
        } else {
            return Some(bit);
        }
    }
    None
}

/// The first bit in `from..end` that starts eight clear ones on a byte boundary.
pub(crate) fn first_clear_byte(map: &[u8], from: u32, end: u32) -> Option<u32> {
    let bytes = map.get(from.div_ceil(8) as usize..end as usize / 8)?;
    let index = bytes.iter().position(|&byte| byte == 0)?;
    Some((from.div_ceil(8) + index as u32) * 8)
}

/// How many bits from `from` are clear, at most `limit` and not beyond `end`.
pub(crate) fn clear_run(map: &[u8], from: u32, end: u32, limit: u32) -> u32 {
    (from..end.min(from.saturating_add(limit)))
        .take_while(|&bit| !is_set(map, bit))
        .count() as u32
}

/// Clear bits in `0..end`.
pub(crate) fn count_clear(map: &[u8], end: u32) -> u32 {
    (0..end).filter(|&bit| !is_set(map, bit)).count() as u32
}

pub(crate) fn set(map: &mut [u8], from: u32, count: u32) {
    for bit in from..from + count {
        map[bit as usize / 8] |= 1 << (bit % 8);
    }
}

pub(crate) fn clear(map: &mut [u8], from: u32, count: u32) {
    for bit in from..from + count {
        map[bit as usize / 8] &= !(1 << (bit % 8));
    }
}

fn word(map: &[u8], bit: u32) -> u64 {
    let at = bit as usize / 8;
    map[at..at + 8]
        .iter()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_agree_with_counting() {
        let mut map = [0xffu8; 32];
        clear(&mut map, 70, 3);
        clear(&mut map, 127, 17);
        clear(&mut map, 255, 1);
        assert_eq!(first_clear(&map, 0, 256), Some(70));
        assert_eq!(first_clear(&map, 73, 256), Some(127));
        assert_eq!(first_clear(&map, 144, 255), None);
        assert_eq!(first_clear(&map, 144, 256), Some(255));
        assert_eq!(first_clear_byte(&map, 0, 256), Some(128));
        assert_eq!(first_clear_byte(&map, 137, 256), None);
        assert_eq!(clear_run(&map, 127, 256, 100), 17);
        assert_eq!(clear_run(&map, 127, 256, 5), 5);
        assert_eq!(count_clear(&map, 256), 21);
        set(&mut map, 128, 8);
        assert!(is_set(&map, 135) && !is_set(&map, 136) && !is_set(&map, 127));
    }
}
