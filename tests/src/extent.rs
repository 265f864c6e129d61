//! How much to test: `FERRIX_TESTS` is `quick`, `long`, or anything else for the usual.

/// What `scripts/test --quick` and `--long` set.
const VARIABLE: &str = "FERRIX_TESTS";

/// Whether slow trials are left out.
pub fn is_quick() -> bool {
    is("quick")
}

/// Whether long trials run too, and the programs of others for as long as their authors meant them to.
pub fn is_long() -> bool {
    is("long")
}

fn is(name: &str) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|extent| extent == name)
}
