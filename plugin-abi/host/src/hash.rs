//! Hashes: as a lock writes them (SRI), as files are named by them, and of what is read.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use std::{
    fmt::{self, Write as _},
    io::{self, ErrorKind, Read, Write},
};

/// The algorithms that Nix knows for a fixed output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// As Nix and SRI call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    /// How it was made.
    pub algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Hash {
    /// Reads `ALGORITHM-BASE64`.
    pub fn of_sri(text: &str) -> Option<Self> {
        let (name, base64) = text.split_once('-')?;
        let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == name)?;
        let bytes = BASE64.decode(base64).ok()?;
        (bytes.len() == algorithm.length()).then_some(Self { algorithm, bytes })
    }

    /// A SHA-256.
    pub fn sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes: bytes.into() }
    }

    /// The SHA-256 of some bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::sha256(Sha256::digest(bytes).into())
    }

    /// The hash in hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.bytes)
    }

    /// The names that a file may have in a folder laid out by hash: hexadecimal, Nix's own base 32,
    /// and SRI, whose `/` no file name can have.
    pub fn file_names(&self) -> [String; 4] {
        let sri = self.to_string();
        [self.hex(), base32(&self.bytes), sri.replace('/', "_"), sri.replace('/', "-")]
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algorithm.name(), BASE64.encode(&self.bytes))
    }
}

/// Copies what is read, up to `largest` bytes, and gives its hashes in the order of `algorithms`;
/// nothing where there is more.
pub fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    algorithms: &[Algorithm],
    largest: u64,
) -> io::Result<Option<Vec<Hash>>> {
    let mut hashers: Vec<Hasher> = algorithms.iter().copied().map(Hasher::new).collect();
    let mut buffer = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total += count as u64;
        if total > largest {
            return Ok(None);
        }
        for hasher in &mut hashers {
            hasher.update(&buffer[..count]);
        }
        to.write_all(&buffer[..count])?;
    }
    Ok(Some(hashers.into_iter().map(Hasher::finish).collect()))
}

/// A hash under way.
enum Hasher {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Hash {
        let (algorithm, bytes) = match self {
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
        };
        Hash { algorithm, bytes }
    }
}

/// The SHA-256 of a text.
pub fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // to a String, which cannot fail
        text
    })
}

/// Nix's base 32: digits of five bits from the end to the start, without the letters e, o, u and t.
pub fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
    let digit = |number: usize| {
        let (byte, shift) = (number * 5 / 8, number * 5 % 8);
        let high = bytes.get(byte + 1).copied().unwrap_or(0);
        let pair = u16::from_le_bytes([bytes[byte], high]);
        char::from(DIGITS[usize::from(pair >> shift & 31)])
    };
    (0..(bytes.len() * 8).div_ceil(5)).rev().map(digit).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hashes(text: &str) -> Vec<Hash> {
        let mut copied = Vec::new();
        let hashes = copy(&mut text.as_bytes(), &mut copied, &Algorithm::ALL, 100).unwrap();
        assert_eq!(copied, text.as_bytes());
        hashes.unwrap()
    }

    #[test]
    fn hashes_are_those_of_other_tools() {
        let text: Vec<_> = hashes("hello\n").iter().map(Hash::hex).collect();
        let sha512 = "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931f94aae41edda2c2b207a36e10f8bcb8d45223e54878f5b316e7ce3b6bc019629";
        assert_eq!(
            text,
            [
                "b1946ac92492d2347c6235b4d2611184",
                "f572d396fae9206628714fb2ce00f72e94f2258f",
                "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                sha512,
            ]
        );
    }

    #[test]
    fn names_are_those_that_nix_gives() {
        let [_, _, sha256, _] = &hashes("hello\n")[..] else { panic!() };
        let [hex, base32, low, dash] = sha256.file_names();
        assert_eq!(hex, sha256.hex());
        assert_eq!(base32, "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq");
        assert_eq!(sha256.to_string(), "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=");
        assert_eq!(low, "sha256-WJG1tSLV3whtD_CxEPvZ0hu0_HFjrzTQgoai6Eb2vgM=");
        assert_eq!(dash, "sha256-WJG1tSLV3whtD-CxEPvZ0hu0-HFjrzTQgoai6Eb2vgM=");
    }

    #[test]
    fn only_whole_hashes_of_known_algorithms_are_read() {
        for hash in hashes("x") {
            assert_eq!(Hash::of_sri(&hash.to_string()), Some(hash));
        }
        let bad = ["", "sha256", "sha256-", "sha256-AAAA", "sha384-AAAA", "blake3-AAAA", "md5-?"];
        for text in bad {
            assert_eq!(Hash::of_sri(text), None, "{text}");
        }
    }

    #[test]
    fn more_than_the_limit_is_not_read_to_its_end() {
        let mut endless = io::repeat(0);
        assert_eq!(copy(&mut endless, &mut io::sink(), &[], 1 << 20).unwrap(), None);
        let mut whole = [0; 4].as_slice();
        assert_eq!(copy(&mut whole, &mut io::sink(), &[], 4).unwrap(), Some(vec![]));
    }
}
