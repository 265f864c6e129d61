//! Structures and bytes that a call reads or writes, and words that it waits on.

use ferrix_abi::Call;
use ferrix_abi::futex::PRIVATE;
use ferrix_abi::info::{CpuInfo, SlabInfo, SystemStats};
use ferrix_abi::ipc::WaitItem;
use ferrix_abi::layout::{PAGE_SIZE, SERVER_BASE};
use ferrix_abi::limit::{Limit, LimitInfo, Resource};
use ferrix_abi::process::{Identity, MemoryInfo, Personality};
use ferrix_abi::process::{ProcessInfo, WaitFor, WaitResult, wait};
use ferrix_abi::sched::NORMAL_DEFAULT;
use ferrix_abi::signal::number::SIGUSR1;
use ferrix_abi::signal::{Disposition, MaskHow, SignalInfo};
use ferrix_abi::thread::ThreadInfo;
use ferrix_abi::vm::Region;
use ferrix_rt::sys::signal;

use super::{Good, Row, Use, clear, row};
use crate::support::*;

const LOOK: u64 = (wait::EXITED | wait::NO_WAIT) as u64;
const PRIORITY: u64 = NORMAL_DEFAULT as u64;

const fn size<T>() -> u64 {
    size_of::<T>() as u64
}

/// A caught signal waits to be taken.
fn raise(good: &Good) -> Outcome {
    clear(good)?;
    signal::set_action(SIGUSR1, Disposition::Catch)?;
    signal::mask(MaskHow::Block, set_of(SIGUSR1))?;
    kill(good.own_pid as i32, SIGUSR1)
}

fn raise_unblocked(good: &Good) -> Outcome {
    raise(good)?;
    signal::mask(MaskHow::Set, 0)?;
    Ok(())
}

/// Whether a call that failed used the signal up is not promised.
fn settle(_: &Good) -> Outcome {
    signal::mask(MaskHow::Set, 0)?;
    while signal::take()?.is_some() {}
    Ok(())
}

/// Their rows.
pub fn of_objects(call: Call) -> &'static [Row] {
    match call {
        Call::VmQuery => {
            const {
                &[row("region", Use::Write(size::<Region>()), |_, p| {
                    [0, 0, p, 0, 0, 0]
                })]
            }
        }
        Call::ObjectClean | Call::ObjectReferenced => {
            const {
                &[row("bitmap", Use::Write(8), |g, p| {
                    [g.paged.0.into(), 0, 64, p, 0, 0]
                })]
            }
        }
        _ => {
            const {
                &[row("source", Use::Range, |g, p| {
                    [g.paged.0.into(), 0, 1, p, 0, 0]
                })]
            }
        }
    }
}

/// Their rows.
pub fn of_new_processes(call: Call) -> &'static [Row] {
    match call {
        Call::ProcessCreate => {
            const {
                &[row("arguments", Use::Read(16), |_, p| {
                    [p, 16, resource().0.into(), 0, 0, 0]
                })]
            }
        }
        Call::PersonalitySet => {
            const {
                &[row(
                    "personality",
                    Use::Read(size::<Personality>()),
                    |_, p| [p, 0, 0, 0, 0, 0],
                )]
            }
        }
        Call::ExecCommit => {
            const { &[row("arguments", Use::Read(16), |_, p| [p, 16, 0, 0, 0, 0])] }
        }
        _ => {
            const {
                &[
                    row("entry", Use::Code, |g, p| {
                        [g.process.0.into(), p, g.pages.address, 0, PRIORITY, 0]
                    }),
                    row("stack", Use::Code, |g, p| {
                        [g.process.0.into(), SERVER_BASE, p, 0, PRIORITY, 0]
                    }),
                ]
            }
        }
    }
}

/// Their rows.
pub fn of_processes(call: Call) -> &'static [Row] {
    match call {
        Call::Wait => {
            const {
                &[row("result", Use::Write(size::<WaitResult>()), |g, p| {
                    [WaitFor::Pid as u64, g.child.into(), LOOK, p, 0, 0]
                })]
            }
        }
        Call::ProcessNext => {
            const {
                &[row("info", Use::Write(size::<ProcessInfo>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
        Call::GetIdentity => {
            const {
                &[row("identity", Use::Write(size::<Identity>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
        _ => {
            const {
                &[row("identity", Use::Read(size::<Identity>()), |_, p| {
                    [p, 0, 0, 0, 0, 0]
                })]
            }
        }
    }
}

/// Their rows.
pub fn of_the_system(call: Call) -> &'static [Row] {
    match call {
        Call::WaitMany => {
            const {
                &[row("items", Use::Both(size::<WaitItem>()), |_, p| {
                    [p, 1, 0, 0, 0, 0]
                })]
            }
        }
        Call::LogTake => {
            const {
                &[row("buffer", Use::Perhaps(16), |_, p| {
                    [p, 16, resource().0.into(), 0, 0, 0]
                })]
            }
        }
        Call::Log => {
            const {
                &[Row {
                    before: |good| {
                        good.fill(b'.');
                        Ok(())
                    },
                    ..row("text", Use::Read(2), |_, p| [p, 2, 0, 0, 0, 0])
                }]
            }
        }
        Call::SystemStats => {
            const {
                &[row(
                    "statistics",
                    Use::Write(size::<SystemStats>()),
                    |_, p| [p, 0, 0, 0, 0, 0],
                )]
            }
        }
        _ => {
            const {
                &[row("info", Use::Write(size::<MemoryInfo>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
    }
}

/// Their rows.
pub fn of_signals(call: Call) -> &'static [Row] {
    match call {
        Call::SigSend => {
            const {
                &[row("info", Use::Read(size::<SignalInfo>()), |g, p| {
                    [g.own_pid.into(), p, 0, 0, 0, 0]
                })]
            }
        }
        Call::SigWait => {
            const {
                &[Row {
                    before: raise,
                    after: settle,
                    ..row("info", Use::Write(size::<SignalInfo>()), |_, p| {
                        [set_of(SIGUSR1), p, 0, 0, 0, 0]
                    })
                }]
            }
        }
        _ => {
            const {
                &[
                    Row {
                        before: raise_unblocked,
                        after: settle,
                        ..row("info", Use::Write(size::<SignalInfo>()), |g, p| {
                            [p, g.pages.address + 2 * PAGE_SIZE, 0, 0, 0, 0]
                        })
                    },
                    Row {
                        before: raise_unblocked,
                        after: settle,
                        ..row("mask", Use::Write(8), |g, p| {
                            [g.pages.address + 2 * PAGE_SIZE, p, 0, 0, 0, 0]
                        })
                    },
                ]
            }
        }
    }
}

/// Their rows.
pub fn of_futexes(call: Call) -> &'static [Row] {
    match call {
        Call::FutexWait => const { &[row("word", Use::Word, |_, p| [p, 0, 0, 1, 0, 0])] },
        Call::FutexWake => const { &[row("word", Use::Key, |_, p| [p, 1, 1, 0, 0, 0])] },
        Call::FutexLockPi => const { &[row("word", Use::Word, |_, p| [p, 0, PRIVATE, 0, 0, 0])] },
        Call::FutexUnlockPi => const { &[row("word", Use::Word, |_, p| [p, PRIVATE, 0, 0, 0, 0])] },
        Call::FutexWaitRequeuePi => {
            const {
                &[row("word", Use::Word, |g, p| {
                    [p, 0, 0, PRIVATE, g.pages.address, 0]
                })]
            }
        }
        Call::FutexRequeuePi => {
            const {
                &[
                    row("word", Use::Word, |g, p| {
                        [p, 0, 1, PRIVATE, g.pages.address, 0]
                    }),
                    row("other word", Use::Word, |g, p| {
                        [g.pages.address, 0, 1, PRIVATE, p, 0]
                    }),
                ]
            }
        }
        _ => {
            const {
                &[
                    row("word", Use::Word, |g, p| {
                        [p, 1, 1, g.pages.address, 1 << 32, 0]
                    }),
                    row("word, unread", Use::Key, |g, p| {
                        [p, 1, 1, g.pages.address, 0, 0]
                    }),
                    row("other word", Use::Key, |g, p| {
                        [g.pages.address, 1, 1, p, 0, 0]
                    }),
                ]
            }
        }
    }
}

/// Their rows.
pub fn of_threads(call: Call) -> &'static [Row] {
    match call {
        Call::ThreadNext => {
            const {
                &[row("info", Use::Write(size::<ThreadInfo>()), |_, p| {
                    [0, 0, p, 0, 0, 0]
                })]
            }
        }
        _ => {
            const {
                &[row("info", Use::Write(size::<CpuInfo>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
    }
}

/// Their rows.
pub fn of_limits(call: Call) -> &'static [Row] {
    const RESOURCE: u64 = Resource::FileLocks as u64;
    match call {
        Call::LimitSet => {
            const {
                &[
                    row("new", Use::ReadOrNull(size::<Limit>()), |_, p| {
                        [0, RESOURCE, p, 0, 0, 0]
                    }),
                    row("old", Use::WriteOrNull(size::<Limit>()), |_, p| {
                        [0, RESOURCE, 0, p, 0, 0]
                    }),
                ]
            }
        }
        Call::LimitInfo => {
            const {
                &[row("info", Use::Write(size::<LimitInfo>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
        _ => {
            const {
                &[row("info", Use::Write(size::<SlabInfo>()), |_, p| {
                    [0, p, 0, 0, 0, 0]
                })]
            }
        }
    }
}
