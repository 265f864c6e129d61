//! A thread's scheduling parameters, and the priority that follows from them.

use ferrix_abi::sched::{
    IDLE, LINUX_REALTIME, NICE, NORMAL, Policy, REALTIME, SERVER, Scheduling, base_of_nice,
    base_of_realtime, nice_of_base, realtime_of_base,
};

use super::queue::ages;
use crate::object::{Core, CoreCell};

/// Most that sleeping raises, and using up slices lowers, a time-shared thread.
pub const BOOST_MAX: i8 = 5;

/// What `SchedSet` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Policy.
    pub policy: Policy,
    /// Base priority.
    pub base: u8,
    /// What a Linux program set, or would have to.
    pub linux: Scheduling,
}

impl Parameters {
    /// The parameters if the priority is in the policy's range.
    pub fn new(policy: Policy, base: u8) -> Option<Parameters> {
        let valid = match policy {
            Policy::Idle => IDLE.contains(&base),
            Policy::Other => NORMAL.contains(&base) || SERVER.contains(&base),
            Policy::Fifo | Policy::RoundRobin => {
                REALTIME.contains(&base) || base > *REALTIME.end() && base < 128
            }
        };
        if !valid {
            return None;
        }
        let (nice, realtime) = match policy {
            Policy::Idle => (0, 0),
            Policy::Other => (nice_of_base(base) as i8, 0),
            Policy::Fifo | Policy::RoundRobin => (0, realtime_of_base(base) as u8),
        };
        let linux = Scheduling {
            policy: policy.into(),
            nice,
            realtime,
            reset_on_fork: 0,
        };
        Some(Parameters {
            policy,
            base,
            linux,
        })
    }

    /// What a Linux program wants, if there is such a thing.
    pub fn of_linux(linux: Scheduling) -> Option<Parameters> {
        let policy = match linux.policy {
            Scheduling::BATCH => Policy::Other,
            number => Policy::try_from(number).ok()?,
        };
        let real_time = matches!(policy, Policy::Fifo | Policy::RoundRobin);
        let priority = u32::from(linux.realtime);
        let valid = match real_time {
            true => LINUX_REALTIME.contains(&priority),
            false => priority == 0,
        };
        let base = match policy {
            _ if !valid || !NICE.contains(&linux.nice.into()) => return None,
            Policy::Idle => *IDLE.start(),
            Policy::Other => base_of_nice(linux.nice.into()),
            Policy::Fifo | Policy::RoundRobin => base_of_realtime(priority),
        };
        Some(Parameters {
            policy,
            base,
            linux,
        })
    }

    /// What children get.
    pub fn inherited(self) -> Parameters {
        if self.linux.reset_on_fork == 0 {
            return self;
        }
        let real_time = self.linux.realtime != 0;
        let ordinary = Scheduling {
            policy: if real_time { 0 } else { self.linux.policy },
            nice: self.linux.nice.max(0),
            ..Scheduling::default()
        };
        Parameters::of_linux(ordinary).unwrap_or(self)
    }

    /// The parameters that a bare priority means (`ProcessStart`).
    pub fn from_priority(base: u8) -> Option<Parameters> {
        let policy = match base {
            0..=3 => Policy::Idle,
            4..=87 => Policy::Other,
            _ => Policy::Fifo,
        };
        Parameters::new(policy, base)
    }

    /// How much sleeping may raise it. SCHED_BATCH says that a thread computes, however much it sleeps (sched(7)).
    const fn highest_boost(self) -> i8 {
        if self.linux.policy == Scheduling::BATCH {
            0
        } else {
            BOOST_MAX
        }
    }

    /// The priority with a boost.
    pub fn boosted(self, boost: i8) -> u8 {
        if ages(self.base) {
            self.base
                .saturating_add_signed(boost.min(self.highest_boost()))
                .clamp(*NORMAL.start(), *NORMAL.end())
        } else {
            self.base
        }
    }
}

/// The scheduler's part of a thread.
#[derive(Debug)]
pub struct Entity {
    /// The priority that counts now.
    pub priority: CoreCell<u8>,
    /// The CPU it runs on or ran on last.
    pub cpu: CoreCell<u8>,
    /// CPUs on which it may run.
    pub affinity: CoreCell<u32>,
    parameters: CoreCell<Parameters>,
    boost: CoreCell<i8>,
    /// What those lend who wait for it, or 0.
    lent: CoreCell<u8>,
}

impl Entity {
    /// Of a thread that is not in use.
    pub const fn new() -> Entity {
        Entity {
            priority: CoreCell::new(0),
            cpu: CoreCell::new(0),
            affinity: CoreCell::new(0),
            parameters: CoreCell::new(Parameters {
                policy: Policy::Idle,
                base: 0,
                linux: Scheduling {
                    policy: 0,
                    nice: 0,
                    realtime: 0,
                    reset_on_fork: 0,
                },
            }),
            boost: CoreCell::new(0),
            lent: CoreCell::new(0),
        }
    }

    /// Starts with parameters.
    pub fn start(&self, core: &Core, parameters: Parameters, affinity: u32) {
        self.affinity.set(core, affinity);
        self.boost.set(core, 0);
        self.lent.set(core, 0);
        self.set_parameters(core, parameters);
    }

    /// Changes the parameters. The thread is in no run queue.
    pub fn set_parameters(&self, core: &Core, parameters: Parameters) {
        self.parameters.set(core, parameters);
        self.update(core);
    }

    /// The parameters.
    pub fn parameters(&self, core: &Core) -> Parameters {
        self.parameters.get(core)
    }

    /// Whether sleeping raises it.
    #[inline(always)]
    pub fn rises(&self, core: &Core) -> bool {
        ages(self.parameters.get(core).base) && self.boost.get(core) < BOOST_MAX
    }

    /// It slept of its own will.
    #[inline(always)]
    pub fn slept(&self, core: &Core) {
        if self.rises(core) {
            self.add_boost(core, 1);
        }
    }

    /// It used up a slice.
    pub fn used_slice(&self, core: &Core) {
        // Most who use up slices are at the lowest already.
        if self.boost.get(core) > -BOOST_MAX && ages(self.parameters.get(core).base) {
            self.add_boost(core, -1);
        }
    }

    fn add_boost(&self, core: &Core, change: i8) {
        let highest = self.parameters.get(core).highest_boost();
        let boost = self.boost.get(core).min(highest) + change;
        self.boost.set(core, boost.clamp(-BOOST_MAX, highest));
        self.update(core);
    }

    /// What those lend who wait for it; 0: nothing.
    pub fn lent(&self, core: &Core) -> u8 {
        self.lent.get(core)
    }

    /// Those who wait for it lend this much. The thread is in no run queue.
    pub fn set_lent(&self, core: &Core, priority: u8) {
        self.lent.set(core, priority);
        self.update(core);
    }

    /// The priority that it would have if nobody lent it any.
    pub fn own(&self, core: &Core) -> u8 {
        self.parameters.get(core).boosted(self.boost.get(core))
    }

    fn update(&self, core: &Core) {
        let own = self.own(core);
        self.priority.set(core, own.max(self.lent.get(core)));
    }

    /// Whether another thread of its priority gets its turn when the slice ends.
    #[inline(always)]
    pub fn shares(&self, core: &Core) -> bool {
        self.parameters.get(core).policy != Policy::Fifo
    }

    /// Whether it may run on a CPU.
    #[inline(always)]
    pub fn may_run_on(&self, core: &Core, cpu: usize) -> bool {
        self.affinity.get(core) >> cpu & 1 != 0
    }
}

impl Default for Entity {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::core_lock::lock;

    #[test]
    fn boost_stays_in_the_range_of_the_policy() {
        let core = lock();
        let entity = Entity::new();
        entity.start(&core, Parameters::new(Policy::Other, 44).unwrap(), 1);
        (0..9).for_each(|_| entity.slept(&core));
        assert_eq!(entity.priority.get(&core), 45);
        (0..20).for_each(|_| entity.used_slice(&core));
        assert_eq!(entity.priority.get(&core), 39);
        entity.start(&core, Parameters::new(Policy::Other, 66).unwrap(), 1);
        (0..9).for_each(|_| entity.slept(&core));
        assert_eq!(entity.priority.get(&core), 66);
    }

    #[test]
    fn a_batch_thread_sinks_but_does_not_rise() {
        let core = lock();
        let entity = Entity::new();
        let of_policy = |policy| {
            let linux = Scheduling {
                policy,
                ..Scheduling::default()
            };
            Parameters::of_linux(linux).unwrap()
        };
        let (other, batch) = (of_policy(0), of_policy(Scheduling::BATCH));
        entity.start(&core, other, 1);
        (0..9).for_each(|_| entity.slept(&core));
        assert!(entity.priority.get(&core) > other.base);
        entity.set_parameters(&core, batch);
        assert_eq!(entity.priority.get(&core), batch.base);
        (0..9).for_each(|_| entity.slept(&core));
        assert_eq!(entity.priority.get(&core), batch.base);
        entity.used_slice(&core);
        assert_eq!(entity.priority.get(&core), batch.base - 1);
    }

    #[test]
    fn a_loan_raises_and_ends() {
        let core = lock();
        let entity = Entity::new();
        entity.start(&core, Parameters::new(Policy::Other, 66).unwrap(), 1);
        entity.set_lent(&core, 24);
        assert_eq!(entity.priority.get(&core), 66);
        entity.set_lent(&core, 90);
        assert_eq!(entity.priority.get(&core), 90);
        entity.set_lent(&core, 0);
        assert_eq!(entity.priority.get(&core), 66);
    }

    #[test]
    fn children_of_who_asked_for_it_start_ordinary() {
        let linux = |policy, nice, realtime| Scheduling {
            policy,
            nice,
            realtime,
            reset_on_fork: 1,
        };
        let child = |scheduling| Parameters::of_linux(scheduling).unwrap().inherited();
        assert_eq!(child(linux(1, -3, 50)).base, base_of_nice(0));
        assert_eq!(child(linux(0, 7, 0)).base, base_of_nice(7));
        assert_eq!(child(linux(0, -7, 0)).linux, Scheduling::default());
        let keeps = Parameters::new(Policy::Fifo, 100).unwrap();
        assert_eq!(keeps.inherited(), keeps);
    }

    #[test]
    fn what_linux_has_not_is_refused() {
        let valid = |policy, nice, realtime| {
            let reset_on_fork = 0;
            let wanted = Scheduling {
                policy,
                nice,
                realtime,
                reset_on_fork,
            };
            Parameters::of_linux(wanted).is_some()
        };
        assert!(valid(0, -20, 0) && valid(3, 19, 0) && valid(5, 0, 0) && valid(1, 0, 99));
        assert!(!valid(0, 20, 0) && !valid(0, 0, 1) && !valid(1, 0, 0) && !valid(2, 0, 100));
        assert!(!valid(4, 0, 0) && !valid(6, 0, 0));
    }

    #[test]
    fn ranges_are_checked() {
        assert!(Parameters::new(Policy::Idle, 4).is_none());
        assert!(Parameters::new(Policy::Other, 3).is_none());
        assert!(Parameters::new(Policy::Other, 88).is_none());
        assert!(Parameters::new(Policy::Fifo, 87).is_none());
        assert!(Parameters::new(Policy::RoundRobin, 119).is_some());
        assert!(Parameters::new(Policy::RoundRobin, 128).is_none());
    }
}
