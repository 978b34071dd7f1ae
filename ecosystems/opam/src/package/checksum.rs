//! Checksums of sources.
//!
//! Reference: `src/core/opamHash.ml`.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// The kind of a checksum, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the algorithms'")]
pub enum ChecksumKind {
    Md5,
    Sha256,
    Sha512,
}

impl ChecksumKind {
    /// Its name in opam files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A checksum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum {
    /// Its kind.
    pub kind: ChecksumKind,
    /// Its lowercase hexadecimal digits.
    pub hex: Box<str>,
}

impl Checksum {
    /// Reads `md5=…`, `sha256=…`, `sha512=…` or the digits of an MD5 (`OpamHash.of_string_opt`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, hex) = match text.split_once('=') {
            None => (ChecksumKind::Md5, text),
            Some((kind, hex)) => {
                let kinds = [ChecksumKind::Md5, ChecksumKind::Sha256, ChecksumKind::Sha512];
                (kinds.into_iter().find(|known| kind.eq_ignore_ascii_case(known.name()))?, hex)
            }
        };
        (hex.len() == kind.digits() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| Self { kind, hex: hex.to_ascii_lowercase().into() })
    }

    /// Whether some bytes have it (`OpamHash.check_string`).
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        let digest: Vec<u8> = match self.kind {
            ChecksumKind::Md5 => Md5::digest(bytes).to_vec(),
            ChecksumKind::Sha256 => Sha256::digest(bytes).to_vec(),
            ChecksumKind::Sha512 => Sha512::digest(bytes).to_vec(),
        };
        let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        hex == *self.hex
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind.name(), self.hex)
    }
}
