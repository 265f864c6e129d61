//! Who may do what: POSIX's file access rules (XBD 4.5, XSH `unlink`, `chmod`).

use crate::errno::{EACCES, EPERM, Errno, Result};
use ferrix_abi::process::Identity;
use ferrix_proto::attributes::{Attributes, Change};

/// Ask to read.
pub const READ: u32 = 4;
/// Ask to write.
pub const WRITE: u32 = 2;
/// Ask to execute, or to search a directory.
pub const EXECUTE: u32 = 1;

const SET_ID_BITS: u32 = 0o6000;
const STICKY: u32 = 0o1000;

/// The ids that decide: effective for opening, real for `access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Credentials {
    /// The effective ids.
    pub const fn effective(identity: &Identity) -> Credentials {
        Credentials {
            uid: identity.euid,
            gid: identity.egid,
        }
    }

    /// The real ids.
    pub const fn real(identity: &Identity) -> Credentials {
        Credentials {
            uid: identity.ruid,
            gid: identity.rgid,
        }
    }

    /// User 0.
    pub const fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// Whether all of `asked` ([`READ`] | [`WRITE`] | [`EXECUTE`]) is granted.
///
/// # Errors
/// `EACCES`.
pub fn check(who: Credentials, attributes: &Attributes, asked: u32) -> Result<()> {
    let class = if who.uid == attributes.uid {
        attributes.mode >> 6
    } else if who.gid == attributes.gid {
        attributes.mode >> 3
    } else {
        attributes.mode
    };
    let directory =
        crate::filesystem::Kind::of(attributes.mode) == crate::filesystem::Kind::Directory;
    // User 0 reads and writes all, and executes what anybody may execute.
    let root_may = directory || asked & EXECUTE == 0 || attributes.mode & 0o111 != 0;
    let granted = if who.is_root() {
        root_may
    } else {
        class & asked == asked
    };
    if granted { Ok(()) } else { Err(EACCES) }
}

/// Whether a name may be removed from a sticky directory.
///
/// # Errors
/// `EPERM`.
pub fn check_sticky(who: Credentials, directory: &Attributes, entry: &Attributes) -> Result<()> {
    let owner = who.is_root() || who.uid == directory.uid || who.uid == entry.uid;
    if directory.mode & STICKY == 0 || owner {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// Whether the change of attributes is allowed; adjusts what POSIX says is dropped on the way.
///
/// # Errors
/// `EPERM`, or `EACCES` for times set to now without write permission.
pub fn check_change(
    who: Credentials,
    old: &Attributes,
    change: &mut Change,
    to: &mut Attributes,
) -> Result<()> {
    let owner = who.is_root() || who.uid == old.uid;
    let require = |allowed: bool, errno: Errno| if allowed { Ok(()) } else { Err(errno) };
    if change.contains(Change::MODE) {
        require(owner, EPERM)?;
        if !who.is_root() && who.gid != old.gid {
            to.mode &= !0o2000;
        }
    }
    if change.contains(Change::UID) {
        require(who.is_root() || owner && to.uid == old.uid, EPERM)?;
    }
    if change.contains(Change::GID) {
        require(
            who.is_root() || owner && (to.gid == who.gid || to.gid == old.gid),
            EPERM,
        )?;
    }
    if change.intersects(Change::UID | Change::GID) && !change.contains(Change::MODE) {
        drop_set_id(old, change, to);
    }
    if change.contains(Change::SIZE) {
        check(who, old, WRITE)?;
    }
    if change.intersects(Change::ACCESSED | Change::MODIFIED) {
        require(owner, EPERM)?;
    }
    if change.intersects(Change::ACCESSED_NOW | Change::MODIFIED_NOW) && !owner {
        check(who, old, WRITE)?;
    }
    Ok(())
}

/// A change of owner takes the set-id bits from an executable file.
fn drop_set_id(old: &Attributes, change: &mut Change, to: &mut Attributes) {
    let regular = crate::filesystem::Kind::of(old.mode) == crate::filesystem::Kind::Regular;
    if regular && old.mode & SET_ID_BITS != 0 {
        to.mode = old.mode & !SET_ID_BITS & 0o7777;
        *change |= Change::MODE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Credentials = Credentials { uid: 7, gid: 8 };
    const ROOT: Credentials = Credentials { uid: 0, gid: 0 };

    fn file(mode: u32, uid: u32, gid: u32) -> Attributes {
        Attributes {
            mode: 0o100_000 | mode,
            uid,
            gid,
            ..Attributes::default()
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        assert_eq!(check(USER, &file(0o077, 7, 8), READ), Err(EACCES));
        assert_eq!(check(USER, &file(0o707, 1, 8), READ), Err(EACCES));
        assert_eq!(check(USER, &file(0o770, 1, 1), READ), Err(EACCES));
        assert_eq!(check(USER, &file(0o640, 1, 8), READ), Ok(()));
        assert_eq!(check(USER, &file(0o640, 1, 8), READ | WRITE), Err(EACCES));
    }

    #[test]
    fn root_executes_only_what_somebody_may() {
        assert_eq!(check(ROOT, &file(0, 7, 8), READ | WRITE), Ok(()));
        assert_eq!(check(ROOT, &file(0o666, 7, 8), EXECUTE), Err(EACCES));
        assert_eq!(check(ROOT, &file(0o010, 7, 8), EXECUTE), Ok(()));
    }

    #[test]
    fn a_new_owner_takes_no_set_id_bits() {
        let (mut change, mut to) = (Change::UID, file(0, 9, 0));
        check_change(ROOT, &file(0o4755, 7, 8), &mut change, &mut to).unwrap();
        assert!(change.contains(Change::MODE));
        assert_eq!(to.mode, 0o755);
        let (mut change, mut to) = (Change::UID, file(0, 9, 0));
        assert_eq!(
            check_change(USER, &file(0o755, 7, 8), &mut change, &mut to),
            Err(EPERM)
        );
    }

    #[test]
    fn sticky_directories_protect_names() {
        let directory = Attributes {
            mode: 0o041_777,
            ..Attributes::default()
        };
        assert_eq!(
            check_sticky(USER, &directory, &file(0o666, 1, 1)),
            Err(EPERM)
        );
        assert_eq!(check_sticky(USER, &directory, &file(0o666, 7, 1)), Ok(()));
        assert_eq!(check_sticky(ROOT, &directory, &file(0o666, 7, 1)), Ok(()));
    }
}
