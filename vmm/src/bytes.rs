//! Numbers in bytes that others have written.

/// The `N` bytes from `offset` on, which there must be.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[offset + index])
}
