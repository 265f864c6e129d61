//! How bad a machine check is: the bits of the banks (Intel SDM volume 3, 16.3), judged.

/// In the global status: the interrupted program can go on.
pub const RESTARTABLE: u64 = 1;

const VALID: u64 = 1 << 63;
const OVERFLOW: u64 = 1 << 62;
const UNCORRECTED: u64 = 1 << 61;
const HAS_ADDRESS: u64 = 1 << 58;
const CONTEXT_CORRUPT: u64 = 1 << 57;
/// Intel: action is required (AR). AMD: the task's context is corrupt (TCC). Either way the program cannot go on.
const PROGRAM_AFFECTED: u64 = 1 << 55;

/// One error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank {
    /// Number of the bank.
    pub number: u32,
    /// MCi_STATUS.
    pub status: u64,
    /// MCi_ADDR, 0 if the bank has none.
    pub address: u64,
}

impl Bank {
    /// Whether there is an error at all.
    pub fn is_valid(self) -> bool {
        self.status & VALID != 0
    }

    /// Whether the hardware could not correct it.
    pub fn is_uncorrected(self) -> bool {
        self.status & UNCORRECTED != 0
    }

    /// Whether the bank names an address.
    pub fn has_address(self) -> bool {
        self.status & (VALID | HAS_ADDRESS) == VALID | HAS_ADDRESS
    }
}

/// What an error asks for; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing: it was corrected, or nothing depends on it yet.
    Harmless,
    /// The end of the program that ran.
    Program,
    /// The end of the machine.
    Fatal,
}

/// What ran when the error was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A program.
    Program,
    /// The kernel.
    Kernel,
}

/// Judges one error, given the global status.
pub fn judge(bank: Bank, global: u64, context: Context) -> Severity {
    let lost = bank.status & (CONTEXT_CORRUPT | OVERFLOW) != 0 || global & RESTARTABLE == 0;
    if !bank.is_uncorrected() {
        return Severity::Harmless;
    }
    match (lost, bank.status & PROGRAM_AFFECTED != 0, context) {
        (true, ..) | (false, true, Context::Kernel) => Severity::Fatal,
        (false, true, Context::Program) => Severity::Program,
        (false, false, _) => Severity::Harmless,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION_REQUIRED: u64 = VALID | UNCORRECTED | PROGRAM_AFFECTED;

    fn judged(status: u64, global: u64, context: Context) -> Severity {
        let bank = Bank {
            number: 0,
            status,
            address: 0,
        };
        judge(bank, global, context)
    }

    #[test]
    fn corrected_errors_are_harmless_wherever_they_come() {
        for context in [Context::Program, Context::Kernel] {
            assert_eq!(judged(VALID, 0, context), Severity::Harmless);
        }
    }

    #[test]
    fn an_error_of_a_program_ends_the_program_alone() {
        let of = |context| judged(ACTION_REQUIRED, RESTARTABLE, context);
        assert_eq!(of(Context::Program), Severity::Program);
        assert_eq!(of(Context::Kernel), Severity::Fatal);
    }

    #[test]
    fn what_is_lost_ends_the_machine() {
        let corrupt = ACTION_REQUIRED | CONTEXT_CORRUPT;
        let overflow = ACTION_REQUIRED | OVERFLOW;
        for (status, global) in [
            (ACTION_REQUIRED, 0),
            (corrupt, RESTARTABLE),
            (overflow, RESTARTABLE),
        ] {
            assert_eq!(judged(status, global, Context::Program), Severity::Fatal);
        }
    }

    #[test]
    fn what_nobody_uses_yet_is_harmless() {
        let optional = VALID | UNCORRECTED;
        assert_eq!(
            judged(optional, RESTARTABLE, Context::Kernel),
            Severity::Harmless
        );
    }
}
