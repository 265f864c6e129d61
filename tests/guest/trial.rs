//! Tests that are left out, with the reason in their line, where the host lacks what they need.

use anyhow::Result;
use ferrix_tests::host::Need;
use libtest_mimic::{Failed, Trial};

/// A test that needs `/dev/kvm`.
pub fn on_kvm(name: &str, test: fn() -> Result<()>) -> Trial {
    needing(name, &[Need::Kvm], test)
}

/// A test that needs these things of the host.
pub fn needing(
    name: &str,
    needs: &[Need],
    test: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    let body = move || test().map_err(|error| Failed::from(format!("{error:#}")));
    let trial = Trial::test(name, body);
    match needs.iter().find_map(|need| need.lacking()) {
        None => trial,
        Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
    }
}
