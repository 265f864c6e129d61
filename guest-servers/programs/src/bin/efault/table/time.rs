//! Clocks, timers, sleeping.

use super::sys;
use crate::places::GOOD;
use crate::raw::PAGE;
use crate::row::{Row, SAME, Use};

const TIME: Use = Use::Read(16);
const ITIMER_REAL: usize = 0;
const MONOTONIC: usize = libc::CLOCK_MONOTONIC as usize;

/// The rows.
pub const ROWS: &[Row] = &[
    Row::new(sys!(SYS_nanosleep), "time", TIME, |_, p| [p, 0, 0, 0, 0, 0]),
    Row::new(sys!(SYS_clock_nanosleep), "time", TIME, |_, p| {
        [MONOTONIC, 0, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_clock_nanosleep), "absolute time", TIME, |_, p| {
        [MONOTONIC, 1, p, 0, 0, 0]
    }),
    Row::new(sys!(SYS_clock_gettime), "time", Use::Write(16), |_, p| {
        [MONOTONIC, p, 0, 0, 0, 0]
    }),
    Row::new(
        sys!(SYS_clock_getres),
        "resolution",
        Use::Write(16),
        |_, p| [MONOTONIC, p, 0, 0, 0, 0],
    )
    .or_null(SAME),
    Row::new(sys!(SYS_gettimeofday), "time", Use::Write(16), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_gettimeofday), "zone", Use::Write(8), |_, p| {
        [0, p, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_time), "time", Use::Write(8), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_times), "times", Use::Write(32), |_, p| {
        [p, 0, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_getitimer), "value", Use::Write(32), |_, p| {
        [ITIMER_REAL, p, 0, 0, 0, 0]
    }),
    // Without a new value Linux switches the timer off.
    Row::new(sys!(SYS_setitimer), "new", Use::Read(32), |_, p| {
        [ITIMER_REAL, p, 0, 0, 0, 0]
    })
    .or_null(SAME),
    Row::new(sys!(SYS_setitimer), "old", Use::Write(32), |_, p| {
        [ITIMER_REAL, GOOD + 2 * PAGE, p, 0, 0, 0]
    })
    .or_null(SAME),
];
