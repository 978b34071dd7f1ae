//! The lock as text.

use crate::{LOCK_VERSION, Lock};
use serde::Deserialize;
use x2nix_protocol::{Diagnostic, Origin};

/// The bytes that a lock file may have: far above any real one, and far below what would exhaust a
/// machine.
pub const LARGEST: usize = 256 << 20;

/// The canonical text of a lock: sorted, indented, one newline at the end.
///
/// # Panics
///
/// Never: a lock has only text keys and finite numbers.
#[allow(clippy::expect_used)]
pub fn write(lock: &Lock) -> String {
    let mut text = serde_json::to_string_pretty(lock).expect("a lock serialises");
    text.push('\n');
    text
}

/// Reads a lock of any version that was ever written; `file` names it in messages.
///
/// # Errors
///
/// `lock::syntax` for what is not a lock file, `lock::version` for one of a newer x2nix.
pub fn read(text: &[u8], file: &str) -> Result<Lock, Box<Diagnostic>> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let broken = |error: serde_json::Error| {
        let line = u32::try_from(error.line()).ok().filter(|&line| line > 0);
        Box::new(
            Diagnostic::error("lock::syntax", format!("this is not a lock file: {error}"))
                .at(Origin::new(file, line))
                .help("make it anew with `x2nix resolve`, or restore it from version control"),
        )
    };
    if text.len() > LARGEST {
        let message = format!("the lock file is larger than {} MiB", LARGEST >> 20);
        return Err(Box::new(
            Diagnostic::error("lock::too-large", message).at(Origin::new(file, None)),
        ));
    }
    let version = serde_json::from_slice::<Versioned>(text).map_err(broken)?.version;
    if version != LOCK_VERSION {
        let message = format!(
            "the lock file has format {version}; this x2nix reads formats 1 to {LOCK_VERSION}"
        );
        return Err(Box::new(
            Diagnostic::error("lock::version", message)
                .at(Origin::new(file, None))
                .help("use a newer x2nix, or make the lock anew with `x2nix resolve`"),
        ));
    }
    serde_json::from_slice(text).map_err(broken)
}
