//! Any bytes as a lock file: what is read is checked, and written back it reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use x2nix_lock::{check_claims, read, write};

fuzz_target!(|bytes: &[u8]| {
    let Ok(lock) = read(bytes, "fuzzed") else { return };
    check_claims(&lock);
    let text = write(&lock);
    let again = read(text.as_bytes(), "written");
    assert_eq!(again.as_ref().ok(), Some(&lock), "{text}");
    assert_eq!(again.map(|lock| write(&lock)).ok(), Some(text));
});
