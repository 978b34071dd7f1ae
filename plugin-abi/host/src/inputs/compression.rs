//! What an archive is compressed with, found by its first bytes, and the plain tar within.
//!
//! Every decoder here reads a stream that may be hostile. What bounds it: the tar reader above counts
//! each plain byte against [`Limits::unpacked`](super::Limits), so a bomb is refused at the limit and
//! not at its end; and the one thing that a stream can ask for before it gives anything, the memory
//! for looking back, is bounded by [`LOOK_BACK`]. Each format has checksums and an end of its own,
//! so what is cut off or damaged is an error; all members, streams or frames of a file are read.
//!
//! xz and bzip2 are decoded in Rust, xz in safe Rust alone. zstd is the original in C: it checks
//! what the Rust one leaves to its caller (checksums, further frames), and is three times as fast.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};

/// The most memory that a stream may ask for to look back into, as a power of two: 128 MiB, what
/// `zstd` takes without being told, and twice what `xz -9` uses.
const LOOK_BACK: u32 = 27;

/// Where a tar has its magic bytes.
const USTAR: usize = 257;

/// How many first bytes it takes to tell the formats apart.
pub(super) const START: usize = USTAR + 8;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A tar as it is.
    Plain,
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

/// How a file of each format begins.
const FORMATS: [(&[u8], Format); 4] = [
    (b"\x1f\x8b", Format::Gzip),
    (b"\xfd7zXZ\0", Format::Xz),
    (b"\x28\xb5\x2f\xfd", Format::Zstd),
    (b"BZh", Format::Bzip2),
];

/// What else files begin with, to say what was given.
const OTHERS: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"LZIP", "an lzip archive"),
    (b"<!", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a pointer to a file that Git LFS keeps elsewhere"),
];

impl Format {
    /// The format of a file that begins so; otherwise what it seems to be.
    pub(super) fn of(start: &[u8]) -> Result<Self, &'static str> {
        if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Ok(*format);
        }
        if start.get(USTAR..).is_some_and(|tar| tar.starts_with(b"ustar")) {
            return Ok(Self::Plain);
        }
        match OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
            Some((_, kind)) => Err(kind),
            None if start.is_empty() => Err("empty"),
            None => Err("not an archive"),
        }
    }

    /// The plain bytes. Errors of the format are [`ErrorKind::InvalidData`] or `InvalidInput`, an
    /// early end is `UnexpectedEof`, and a want of too much memory is `OutOfMemory`.
    pub(super) fn plain<'r>(self, bytes: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Plain => Box::new(bytes),
            Self::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            Self::Xz => {
                // In KiB, and the decoder's own tables beside the look-back.
                let limit = (1 << (LOOK_BACK - 10)) + 1024;
                Box::new(lzma_rust2::XzReader::new_mem_limit(bytes, true, limit))
            }
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(LOOK_BACK)?;
                Box::new(Zstd(decoder))
            }
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(bytes)),
        })
    }

    /// Whether the format itself tells where its content ends.
    pub(super) fn has_end(self) -> bool {
        self != Self::Plain
    }
}

/// Tells the errors of zstd from those of the disk: its own have no number of the system.
struct Zstd<R>(R);

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            if error.kind() != ErrorKind::Other || error.raw_os_error().is_some() {
                return error;
            }
            let memory = error.to_string().contains("memory");
            io::Error::new(
                if memory { ErrorKind::OutOfMemory } else { ErrorKind::InvalidData },
                error,
            )
        })
    }
}
