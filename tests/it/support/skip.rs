//! What is left out of a test because something is not there.
//!
//! A test that passes when nothing ran would hide it, so with `CI=true` it is a failure; elsewhere a line on standard error
//! says it, also of tests that pass: what `println!` and its kin write is shown of failures alone. Recorded data may not be given
//! away, so a checkout without it says so (`TICKWIRE_TEST_DATA=none`), and then its tests are left out with `CI=true` too.

use std::io::Write;

/// Says that something is left out.
///
/// # Panics
/// With `CI=true`.
pub fn skipped(what: &str) {
    say(what, std::env::var("CI").as_deref() == Ok("true"), &mut std::io::stderr());
}

/// Says that something is left out, since recorded data is not there.
///
/// # Panics
/// With `CI=true`, unless `TICKWIRE_TEST_DATA=none` says that there is none.
pub fn skipped_data(what: &str) {
    let is_known = std::env::var("TICKWIRE_TEST_DATA").as_deref() == Ok("none");
    say(what, !is_known && std::env::var("CI").as_deref() == Ok("true"), &mut std::io::stderr());
}

fn say(what: &str, is_ci: bool, out: &mut dyn Write) {
    assert!(!is_ci, "{what}: with CI=true that is a failure");
    // Where nobody takes the line, nobody can be told.
    _ = writeln!(out, "skipped: {what}");
}

#[test]
fn what_is_left_out_is_said_and_fails_in_continuous_integration() {
    let mut out = Vec::new();
    say("the data is not there", false, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "skipped: the data is not there\n");
    let failed = std::panic::catch_unwind(|| say("the data is not there", true, &mut Vec::new()));
    assert!(failed.is_err());
}
