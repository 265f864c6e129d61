//! User and group ids: POSIX's rules for changing them. (The kernel enforces them; this finds what is asked for.)

use ferrix_abi::process::Identity;

/// Leaves an id as it is.
pub const UNCHANGED: u32 = u32::MAX;

/// The three ids of one kind: real, effective, saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids(pub [u32; 3]);

/// Users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// User ids.
    Users,
    /// Group ids.
    Groups,
}

/// The ids of one kind.
pub const fn get(identity: &Identity, of: Of) -> Ids {
    match of {
        Of::Users => Ids([identity.ruid, identity.euid, identity.suid]),
        Of::Groups => Ids([identity.rgid, identity.egid, identity.sgid]),
    }
}

/// The identity with other ids of one kind.
pub const fn with(mut identity: Identity, of: Of, Ids([real, effective, saved]): Ids) -> Identity {
    match of {
        Of::Users => (identity.ruid, identity.euid, identity.suid) = (real, effective, saved),
        Of::Groups => (identity.rgid, identity.egid, identity.sgid) = (real, effective, saved),
    }
    identity
}

/// `setuid`, `setgid`: all three for the privileged, else the effective one.
pub const fn set(Ids([real, _, saved]): Ids, id: u32, privileged: bool) -> Ids {
    if privileged {
        Ids([id; 3])
    } else {
        Ids([real, id, saved])
    }
}

/// `setresuid`, `setresgid`.
pub fn set_all(Ids(old): Ids, new: [u32; 3]) -> Ids {
    let pick = |index: usize| {
        if new[index] == UNCHANGED {
            old[index]
        } else {
            new[index]
        }
    };
    Ids([pick(0), pick(1), pick(2)])
}

/// `setreuid`, `setregid`: the saved id follows the effective one if the real one is set or the effective one
/// becomes another than the old real one.
pub fn set_two(ids: Ids, real: u32, effective: u32) -> Ids {
    let Ids([new_real, new_effective, saved]) = set_all(ids, [real, effective, UNCHANGED]);
    let follows = real != UNCHANGED || (effective != UNCHANGED && effective != ids.0[0]);
    Ids([
        new_real,
        new_effective,
        if follows { new_effective } else { saved },
    ])
}

/// Whether a file with this mode and owner may be executed.
pub fn may_execute(identity: &Identity, mode: u32, uid: u32, gid: u32) -> bool {
    if identity.euid == 0 {
        return mode & 0o111 != 0;
    }
    let shift = if identity.euid == uid {
        6
    } else if identity.egid == gid {
        3
    } else {
        0
    };
    mode >> shift & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_privileged_set_all_three() {
        assert_eq!(set(Ids([1, 2, 3]), 9, true), Ids([9, 9, 9]));
        assert_eq!(set(Ids([1, 2, 3]), 9, false), Ids([1, 9, 3]));
    }

    #[test]
    fn setreuid_moves_the_saved_id() {
        assert_eq!(set_two(Ids([1, 2, 3]), UNCHANGED, 1), Ids([1, 1, 3]));
        assert_eq!(set_two(Ids([1, 2, 3]), UNCHANGED, 2), Ids([1, 2, 2]));
        assert_eq!(set_two(Ids([1, 2, 3]), 2, UNCHANGED), Ids([2, 2, 2]));
    }

    #[test]
    fn execute_permission_by_class() {
        let user = Identity {
            euid: 5,
            egid: 6,
            ..Identity::default()
        };
        assert!(may_execute(&user, 0o100, 5, 6));
        assert!(!may_execute(&user, 0o011, 5, 6));
        assert!(may_execute(&user, 0o010, 0, 6));
        assert!(may_execute(&user, 0o001, 0, 0));
        assert!(!may_execute(&Identity::default(), 0o666, 0, 0));
    }
}
