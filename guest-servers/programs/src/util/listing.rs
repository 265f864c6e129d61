//! File modes and types as letters, for `ls` and `stat`. Pure.

/// The type of a file by its mode: the letter of `ls -l` and the words of `stat`.
pub fn kind(mode: u32) -> (char, &'static str) {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => ('d', "directory"),
        libc::S_IFLNK => ('l', "symbolic link"),
        libc::S_IFCHR => ('c', "character special file"),
        libc::S_IFBLK => ('b', "block special file"),
        libc::S_IFIFO => ('p', "fifo"),
        libc::S_IFSOCK => ('s', "socket"),
        _ => ('-', "regular file"),
    }
}

/// `drwxr-xr-x`
pub fn letters(mode: u32) -> String {
    let mut text = String::from(kind(mode).0);
    for (shift, special, sign) in [
        (6, libc::S_ISUID, 's'),
        (3, libc::S_ISGID, 's'),
        (0, libc::S_ISVTX, 't'),
    ] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => sign,
            (false, true) => sign.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (mode, text) in [
            (0o100644, "-rw-r--r--"),
            (0o041777, "drwxrwxrwt"),
            (0o104755, "-rwsr-xr-x"),
            (0o120777, "lrwxrwxrwx"),
            (0o102640, "-rw-r-S---"),
        ] {
            assert_eq!(letters(mode), text);
        }
    }
}
