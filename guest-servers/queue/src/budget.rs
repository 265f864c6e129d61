//! What the server holds for its clients, in bytes: by process, by user, and altogether. Who asks for too much is refused,
//! so that the others are not.
//!
//! A [`Charge`] goes with what it was made for and ends with it, wherever that is dropped.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::Cell;

/// When so many accounts are kept, empty ones are looked for.
const MANY: usize = 256;

/// Whom something is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Process.
    pub pid: u32,
    /// User.
    pub uid: u32,
}

/// Most bytes held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one process.
    pub process: usize,
    /// For one user, except user 0.
    pub user: usize,
    /// For all.
    pub all: usize,
}

impl Limits {
    /// With so many bytes of memory in the machine: a process gets a 16th, a user an 8th, all get a quarter.
    pub const fn of_memory(bytes: usize) -> Limits {
        Limits {
            process: bytes / 16,
            user: bytes / 8,
            all: bytes / 4,
        }
    }
}

type Account = Rc<Cell<usize>>;

/// All accounts.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    all: Account,
    users: BTreeMap<u32, Account>,
    processes: BTreeMap<u32, Account>,
}

/// Bytes that are held for somebody, as long as this lives.
#[derive(Debug)]
pub struct Charge {
    accounts: [Account; 3],
    bytes: usize,
}

fn account(accounts: &mut BTreeMap<u32, Account>, number: u32) -> Account {
    if accounts.len() >= MANY && !accounts.contains_key(&number) {
        accounts.retain(|_, account| Rc::strong_count(account) > 1);
    }
    accounts.entry(number).or_default().clone()
}

impl Budget {
    /// Nothing is held.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            limits,
            all: Account::default(),
            users: BTreeMap::new(),
            processes: BTreeMap::new(),
        }
    }

    /// Holds bytes for a client; nothing if that would be too much.
    pub fn charge(&mut self, client: Client, bytes: usize) -> Option<Charge> {
        let Limits { process, user, all } = self.limits;
        let user = if client.uid == 0 { all } else { user };
        let accounts = [
            (account(&mut self.processes, client.pid), process),
            (account(&mut self.users, client.uid), user),
            (self.all.clone(), all),
        ];
        let fits = |(account, most): &(Account, usize)| {
            account
                .get()
                .checked_add(bytes)
                .is_some_and(|sum| sum <= *most)
        };
        if !accounts.iter().all(fits) {
            return None;
        }
        let accounts = accounts.map(|(account, _)| {
            account.set(account.get() + bytes);
            account
        });
        Some(Charge { accounts, bytes })
    }

    /// Bytes held for all.
    pub fn held(&self) -> usize {
        self.all.get()
    }
}

/// As many bytes, for whomever.
impl PartialEq for Charge {
    fn eq(&self, other: &Charge) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Charge {}

impl Charge {
    /// Only so many bytes are held.
    pub fn shrink(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.give_back(less);
    }

    /// Two that belong to the same client become one.
    pub fn absorb(&mut self, mut other: Charge) {
        self.bytes += core::mem::take(&mut other.bytes);
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        for account in &self.accounts {
            account.set(account.get() - bytes);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const LIMITS: Limits = Limits {
        process: 100,
        user: 150,
        all: 400,
    };

    const fn client(pid: u32, uid: u32) -> Client {
        Client { pid, uid }
    }

    #[test]
    fn each_limit_refuses_who_reaches_it_and_nobody_else() {
        let mut budget = Budget::new(LIMITS);
        let first = budget.charge(client(1, 7), 100).unwrap();
        assert!(budget.charge(client(1, 7), 1).is_none(), "the process");
        let second = budget.charge(client(2, 7), 50).unwrap();
        assert!(budget.charge(client(3, 7), 1).is_none(), "the user");
        let roots = [4, 5].map(|pid| budget.charge(client(pid, 0), 100).unwrap());
        assert!(budget.charge(client(6, 0), 51).is_none(), "all");
        assert!(budget.charge(client(6, 8), 50).is_some());
        drop(first);
        assert!(budget.charge(client(1, 7), 100).is_some());
        drop((second, roots));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_is_not_taken_and_what_is_joined_is_counted_once() {
        let mut budget = Budget::new(LIMITS);
        let mut charge = budget.charge(client(1, 7), 60).unwrap();
        charge.shrink(20);
        assert_eq!(budget.held(), 20);
        let other = budget.charge(client(1, 7), 30).unwrap();
        charge.absorb(other);
        assert_eq!(budget.held(), 50);
        drop(charge);
        assert_eq!(budget.held(), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec((0u32..600, 0u32..3, 0usize..60), 0..400)) {
            let mut budget = Budget::new(LIMITS);
            let mut held: Vec<(usize, Charge)> = Vec::new();
            for (pid, uid, bytes) in steps {
                if pid % 3 == 0 && !held.is_empty() {
                    held.swap_remove(pid as usize % held.len());
                } else if let Some(charge) = budget.charge(client(pid, uid), bytes) {
                    held.push((bytes, charge));
                }
                prop_assert_eq!(budget.held(), held.iter().map(|(bytes, _)| bytes).sum::<usize>());
                prop_assert!(budget.held() <= LIMITS.all);
            }
        }
    }
}
