//! Small notes in the cache: what a place gave at the last time.

use crate::inputs::cache::{Cache, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{Read as _, Write as _},
};

/// A record that is larger is none of ours.
const LARGEST: u64 = 64 << 10;

/// What a place gave at the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The place, since the file is named by a hash of it.
    pub(super) place: String,
    /// The hash of the content.
    pub(super) content: Option<[u8; 32]>,
    /// The commit that a revision was.
    pub(super) commit: Option<String>,
    /// What to send to learn whether an archive changed.
    #[serde(default)]
    pub(super) validators: Validators,
}

/// What a server gives with a file, to be asked later whether it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Record {
    /// The record of a place, if there is a good one.
    pub(super) fn read(cache: Option<&Cache>, place: &str) -> Option<Self> {
        let mut text = Vec::new();
        let file = File::open(cache?.record(&name_of(place))).ok()?;
        file.take(LARGEST).read_to_end(&mut text).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        (record.place == place).then_some(record)
    }

    /// Writes it, whole or not at all. A failure costs no more than asking again.
    pub(super) fn write(&self, cache: Option<&Cache>) {
        let Some(cache) = cache else { return };
        let _ = cache.replace(&cache.record(&name_of(&self.place)), |file| {
            file.write_all(&serde_json::to_vec(self)?)
        });
    }
}

fn name_of(place: &str) -> String {
    hex(&Sha256::digest(place).into())
}
