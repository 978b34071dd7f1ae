//! The cache's folder: what lies in it, and how it stays small.
//!
//! | folder  | what                                              | kept                        |
//! |---------|---------------------------------------------------|-----------------------------|
//! | `packs` | archives made ready for reading, named by content | the 32 that were used last  |
//! | `urls`  | what a place gave at the last time                | the 512 that are newest     |
//! | `files` | single files, a folder for each ecosystem         | so many bytes, by last use  |
//! | `tmp`   | what is being fetched                             | a day, if it was left behind |
//!
//! Everything in it may be deleted at any time. A file appears under its name only when it is
//! complete, so processes that race for it each find nothing, or a whole file.
//!
//! Cleaning follows from that: it only ever removes whole files, oldest use first, after something
//! new was saved. Who has a pack open goes on reading it, as systems keep an open file until it is
//! closed; who comes later makes it again. What a process is still writing has a name that starts
//! with a dot and is a day old at most; only older ones go, which no process can still be at, as no
//! fetch may take so long. When a pack was used last is its time of change, set anew at most once an
//! hour; so two processes that clean at once agree, or remove a pack too much, which costs time and
//! nothing else.

use super::pack::{Identity, Pack};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// How many packs are kept.
const PACKS: usize = 32;

/// How many records of places are kept.
const RECORDS: usize = 512;

/// After this time a file that nobody finished was left behind.
const STALE: Duration = Duration::from_hours(24);

/// How exactly the last use of a pack is remembered.
const USE: Duration = Duration::from_hours(1);

/// How the names of unfinished files start.
const UNFINISHED: &str = ".tmp";

/// A folder for what was learned and fetched.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The pack of an archive, if it is there.
    pub(super) fn pack(&self, identity: &Identity) -> Option<Pack> {
        let path = self.pack_path(identity);
        let pack = Pack::load(&path, identity)?;
        let _ = touch(&path); // or it is removed sooner than it should be
        Some(pack)
    }

    /// Keeps a pack, and makes room for it.
    pub(super) fn save(&self, pack: &Pack, identity: &Identity) -> io::Result<()> {
        self.replace(&self.pack_path(identity), |file| pack.save(identity, file))?;
        self.clean();
        Ok(())
    }

    /// Where the record of a place lies.
    pub(super) fn record(&self, name: &str) -> PathBuf {
        self.folder.join("urls").join(format!("{name}.json"))
    }

    /// Where the single files of an ecosystem lie.
    pub(super) fn files(&self, name: &str) -> PathBuf {
        self.folder.join("files").join(name)
    }

    /// A folder for what is being fetched; it goes with the value.
    pub(super) fn temporary(cache: Option<&Self>) -> io::Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        let within = cache.and_then(|cache| builder.tempdir_in(cache.unfinished()?).ok());
        within.map_or_else(|| builder.tempdir(), Ok)
    }

    /// A file without a name, for what is being fetched.
    pub(super) fn scratch(cache: Option<&Self>) -> io::Result<File> {
        let within = cache.and_then(|cache| tempfile::tempfile_in(cache.unfinished()?).ok());
        within.map_or_else(tempfile::tempfile, Ok)
    }

    /// The folder of what is being fetched, if it can be had.
    fn unfinished(&self) -> Option<PathBuf> {
        let folder = self.folder.join("tmp");
        fs::create_dir_all(&folder).ok()?;
        Some(folder)
    }

    /// Writes a file, whole or not at all.
    pub(super) fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        write(file.as_file_mut())?;
        file.persist(path)?;
        Ok(())
    }

    fn pack_path(&self, identity: &Identity) -> PathBuf {
        self.folder.join("packs").join(hex(&identity.archive) + ".pack")
    }

    fn clean(&self) {
        keep_newest(&self.folder.join("packs"), ".pack", PACKS);
        keep_newest(&self.folder.join("urls"), ".json", RECORDS);
        keep_newest(&self.folder.join("tmp"), "", usize::MAX);
    }
}

/// Removes what was left behind, and of the rest all but the newest. What cannot be seen or removed
/// stays.
fn keep_newest(folder: &Path, ending: &str, count: usize) {
    let whole = whole_files(folder, ending);
    let surplus = whole.len().saturating_sub(count);
    for (_, path, _) in &whole[..surplus] {
        let _ = fs::remove_file(path);
    }
}

/// The same, but keeps so many bytes.
pub(super) fn keep_within(folder: &Path, bytes: u64) {
    let whole = whole_files(folder, "");
    let mut all: u64 = whole.iter().map(|(_, _, size)| size).sum();
    for (_, path, size) in &whole {
        if all <= bytes {
            break;
        }
        let _ = fs::remove_file(path);
        all -= size;
    }
}

/// The finished files of a folder with their time and size, oldest first. What was left behind is removed.
fn whole_files(folder: &Path, ending: &str) -> Vec<(SystemTime, PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut whole = Vec::new();
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        let Ok(changed) = about.modified() else { continue };
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(UNFINISHED) {
            if age(changed) > STALE {
                let path = entry.path();
                let _ =
                    if about.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        } else if name.ends_with(ending) && about.is_file() {
            whole.push((changed, entry.path(), about.len()));
        }
    }
    whole.sort_unstable();
    whole
}

/// Remembers that a file was used.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    if age(fs::metadata(path)?.modified()?) > USE {
        File::options().append(true).open(path)?.set_modified(SystemTime::now())?;
    }
    Ok(())
}

/// How long ago it was; nothing for what is to come, as where a clock was wrong.
fn age(time: SystemTime) -> Duration {
    time.elapsed().unwrap_or_default()
}

pub(super) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // to a String, which cannot fail
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inputs::pack::Builder;

    fn identity(number: u8) -> Identity {
        Identity { archive: [number; 32], file_limit: 1 }
    }

    fn set_age(path: &Path, age: Duration) {
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() - age)
            .unwrap();
    }

    #[test]
    fn the_packs_used_last_stay_and_the_open_ones_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let mut builder = Builder::new(u64::MAX, u64::MAX);
        builder.file("f", b"text").unwrap();
        let pack = builder.finish().unwrap();
        for number in 0..32 {
            cache.save(&pack, &identity(number)).unwrap();
            let path = cache.pack_path(&identity(number));
            set_age(&path, Duration::from_hours(200 - u64::from(number)));
        }
        let open = cache.pack(&identity(0)).unwrap(); // the oldest, and used now
        let other = Pack::load(&cache.pack_path(&identity(1)), &identity(1)).unwrap();
        cache.save(&pack, &identity(40)).unwrap();
        cache.save(&pack, &identity(41)).unwrap();
        assert!(cache.pack(&identity(0)).is_some());
        assert!(cache.pack(&identity(1)).is_none() && cache.pack(&identity(2)).is_none());
        assert!(cache.pack(&identity(3)).is_some() && cache.pack(&identity(41)).is_some());
        let text = x2nix_protocol::FileContent::Found(x2nix_protocol::Blob(b"text".to_vec()));
        assert_eq!((open.read("f"), other.read("f")), (text.clone(), text));
        assert_eq!(fs::read_dir(folder.path().join("packs")).unwrap().count(), PACKS);
    }

    #[test]
    fn only_what_was_left_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let packs = folder.path().join("packs");
        fs::create_dir_all(&packs).unwrap();
        for (name, hours) in [(".tmpold", 25), (".tmpnew", 23), ("foreign", 1000)] {
            fs::write(packs.join(name), "").unwrap();
            set_age(&packs.join(name), Duration::from_hours(hours));
        }
        let pack = Builder::new(1, 1).finish().unwrap();
        cache.save(&pack, &identity(1)).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&packs).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        let pack = hex(&[1; 32]) + ".pack";
        assert_eq!(names, [".tmpnew", pack.as_str(), "foreign"]);
    }
}
