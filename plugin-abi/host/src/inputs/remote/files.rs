//! Single files behind addresses, many at once: what a plugin asks for with `fetch`.
//!
//! # What is kept
//!
//! Each file is one entry in a folder of the cache, which each ecosystem has for itself: a line of JSON, then
//! the bytes. A file with an expected hash is named by that hash, so it is asked for once, from wherever; one
//! without is named by its address, and the server is asked whether it changed since. That a server has no such
//! file is kept too: offline, the same question has the same answer. An entry proves itself by the hash of its
//! bytes, and one that does not is none.
//!
//! An ecosystem's folder holds so many bytes and not more: after a call that added to it, what was used
//! longest ago goes. A file that is larger by itself is not kept at all.
//!
//! # The same answer
//!
//! Within one conversation a server is asked once for a file: what it said is settled. If the entry is gone when
//! the plugin asks again, and the server has something else by then, that is an error and no second answer.
//!
//! # How much at once
//!
//! A few workers take the files of a call one by one, over connections that stay open. A server that cannot
//! be reached at all, after all attempts, is not tried again for each of a thousand files.

use super::{
    failed,
    http::{Failure, Fetch, Got, Shown, agent},
    offline,
    records::Validators,
};
use crate::{
    hash::{self, Algorithm, Hash},
    inputs::{Opener, Place, cache::keep_within},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};
use ureq::Agent;
use x2nix_protocol::{
    Blob, Diagnostic, FetchAnswer, FetchFile, FetchRequest, Fetched, Hosts, Origin, PluginResult,
    host_of,
};

/// As many files are fetched at once; more would not be polite to a server.
pub(super) const WORKERS: usize = 8;

/// As many files one call may ask for.
const MOST_FILES: usize = 20_000;

/// As many bytes one answer may have.
const MOST_BYTES: u64 = 384 << 20;

/// The first line of an entry is never longer.
const LONGEST_HEAD: u64 = 16 << 10;

/// Fetches files for one conversation.
#[derive(Debug)]
pub struct Files {
    opener: Opener,
    /// Where they are kept.
    folder: Option<PathBuf>,
    /// How many bytes are kept.
    keep: u64,
    /// What servers said.
    settled: Mutex<BTreeMap<String, Settled>>,
    /// Its connections serve one wave of questions after the other.
    agent: OnceLock<Agent>,
}

/// What a server said of a file.
#[derive(Debug, Clone)]
enum Settled {
    /// The hash of what it gave, or that there is none: the cache has it.
    Kept(Option<Hash>),
    /// The cache could not keep it.
    Held(Fetched),
}

/// The first line of an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The address, or the hash that was expected, since the entry is named by a hash of it.
    key: String,
    /// The hash of the bytes; nothing where the server has no such file.
    hash: Option<String>,
    #[serde(flatten)]
    validators: Validators,
}

/// What the cache has of a file.
struct Kept {
    fetched: Fetched,
    hash: Option<Hash>,
    validators: Validators,
}

/// One file of a call, whoever asked for it how often.
struct Wanted<'a> {
    url: &'a str,
    expected: Option<(Hash, String)>,
    /// What it is kept under.
    key: String,
    limit: u64,
}

/// What the workers of one call share.
struct Batch<'a> {
    agent: Agent,
    opener: Opener,
    shown: Shown<'a>,
    received: AtomicU64,
    /// Whether something was added to the cache.
    added: AtomicBool,
    /// Servers that cannot be reached.
    down: Mutex<BTreeMap<String, Box<Diagnostic>>>,
}

impl Files {
    pub(in crate::inputs) fn new(opener: Opener, folder: Option<PathBuf>, keep: u64) -> Self {
        Self { opener, folder, keep, settled: Mutex::default(), agent: OnceLock::new() }
    }

    /// Fetches files; what concerns one alone is in its place in the answer.
    pub(in crate::inputs) fn fetch(
        &self,
        request: &FetchRequest,
        hosts: &Hosts,
    ) -> PluginResult<FetchAnswer> {
        if request.files.len() > MOST_FILES {
            let message = format!("it asks for more than {MOST_FILES} files at once");
            return Err(too_much(&message));
        }
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        // For each file of the request, the one that is fetched for it.
        let places: Vec<Result<usize, Box<Diagnostic>>> = request
            .files
            .iter()
            .map(|file| {
                let next = self.wanted(file)?;
                let number = *known.entry(next.key.clone()).or_insert(wanted.len());
                match wanted.get_mut(number) {
                    Some(same) => same.limit = same.limit.max(next.limit),
                    None => wanted.push(next),
                }
                Ok(number)
            })
            .collect();
        let mut found: Vec<Option<Fetched>> =
            wanted.par_iter().map(|wanted| self.at_hand(wanted)).collect();
        let rest: Vec<usize> = (0..wanted.len()).filter(|&at| found[at].is_none()).collect();
        if !rest.is_empty() {
            let fetched = self.fetch_all(&wanted, &rest, hosts);
            for (at, fetched) in rest.into_iter().zip(fetched) {
                found[at] = Some(fetched);
            }
        }
        let mut bytes = 0;
        let files = request.files.iter().zip(places).map(|(file, place)| {
            let fetched = match place {
                Ok(number) => found[number].clone().unwrap_or(Fetched::Missing),
                Err(error) => Fetched::Failed(error),
            };
            if let Fetched::Found { content, .. } = &fetched {
                let size = content.0.len() as u64;
                if size > self.limit(file) {
                    return Ok(Fetched::Failed(too_large(&file.url, self.limit(file))));
                }
                bytes += size;
            }
            if bytes > MOST_BYTES {
                let message = format!("the files have more than {} MiB in all", MOST_BYTES >> 20);
                return Err(too_much(&message));
            }
            Ok(fetched)
        });
        Ok(FetchAnswer { files: files.collect::<PluginResult<_>>()? })
    }

    fn limit(&self, file: &FetchFile) -> u64 {
        let most = self.opener.network.size;
        file.limit.map_or(most, |limit| limit.min(most))
    }

    fn wanted<'a>(&self, file: &'a FetchFile) -> PluginResult<Wanted<'a>> {
        let url = file.url.as_str();
        if !matches!(Place::parse(url)?, Place::Url(_)) {
            let message = format!("{url:?} is no address that a file can be fetched from");
            return Err(Diagnostic::error("input::address", message)
                .help("give one of https or http")
                .into());
        }
        let expected = match &file.hash {
            None => None,
            Some(text) => {
                Some(Hash::of_sri(text).map(|hash| (hash, text.clone())).ok_or_else(|| {
                    let message = format!("{url}: {text:?} is no hash of a file");
                    Diagnostic::error("input::hash", message)
                        .help("write it as sha256-BASE64; sha512, sha1 and md5 are known as well")
                })?)
            }
        };
        let key = expected.as_ref().map_or(url, |(_, text)| text).to_owned();
        Ok(Wanted { url, expected, key, limit: self.limit(file) })
    }

    /// What needs no server, or must do without.
    fn at_hand(&self, wanted: &Wanted<'_>) -> Option<Fetched> {
        let offline = self.opener.network.offline;
        let settled = self.settled().get(&wanted.key).cloned();
        let kept = match settled {
            Some(Settled::Held(fetched)) => return Some(fetched),
            Some(Settled::Kept(hash)) => self.kept(wanted).filter(|kept| kept.hash == hash),
            None if offline || wanted.expected.is_some() => self.kept(wanted),
            None => return None,
        };
        let missing = || offline.then(|| Fetched::Failed(offline_of(wanted.url)));
        kept.map(|kept| kept.fetched).or_else(missing)
    }

    /// Fetches those of the numbers; the results are in their order.
    fn fetch_all(&self, wanted: &[Wanted<'_>], rest: &[usize], hosts: &Hosts) -> Vec<Fetched> {
        let mut opener = self.opener.clone();
        opener.network.hosts = hosts.clone();
        let first = wanted[rest[0]].url;
        let label = match rest.len() {
            1 => first.to_owned(),
            count => format!("{count} files from {}", host_of(first)),
        };
        let batch = Batch {
            agent: self.agent.get_or_init(|| agent(&opener.network)).clone(),
            shown: Shown::new(self.opener.progress.as_deref(), &label, None),
            opener,
            received: AtomicU64::new(0),
            added: AtomicBool::new(false),
            down: Mutex::default(),
        };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(&number) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((number, self.settle(&batch, &wanted[number])));
            }
            done
        };
        let mut all: BTreeMap<usize, Fetched> = thread::scope(|scope| {
            let workers: Vec<_> = (1..WORKERS.min(rest.len())).map(|_| scope.spawn(work)).collect();
            let mut all: BTreeMap<_, _> = work().into_iter().collect();
            for worker in workers {
                all.extend(worker.join().unwrap_or_default());
            }
            all
        });
        if let (true, Some(folder)) = (batch.added.load(Ordering::Relaxed), &self.folder) {
            keep_within(folder, self.keep);
        }
        let gone = |number: &usize| Fetched::Failed(broke_down(wanted[*number].url));
        rest.iter().map(|number| all.remove(number).unwrap_or_else(|| gone(number))).collect()
    }

    /// Asks the server, and remembers what it said.
    fn settle(&self, batch: &Batch<'_>, wanted: &Wanted<'_>) -> Fetched {
        let kept = self.kept(wanted);
        let before = match self.settled().get(&wanted.key) {
            Some(Settled::Kept(hash)) => Some(hash.clone()),
            _ => None,
        };
        let known = kept.as_ref().filter(|kept| kept.hash.is_some()).map(|kept| &kept.validators);
        let (fetched, hash, validators) = match batch.ask(wanted, known) {
            Err(error) => return Fetched::Failed(error),
            Ok(Answer::Missing) => (Fetched::Missing, None, Validators::default()),
            Ok(Answer::Unchanged) => match kept {
                Some(kept) => {
                    self.settled().insert(wanted.key.clone(), Settled::Kept(kept.hash));
                    return kept.fetched;
                }
                None => return Fetched::Failed(broke_down(wanted.url)),
            },
            Ok(Answer::Found { content, hash, validators }) => {
                let sri = hash.to_string();
                (Fetched::Found { content: Blob(content), hash: sri }, Some(hash), validators)
            }
        };
        if before.is_some_and(|before| before != hash) {
            let message = format!("{} changed while it was in use", wanted.url);
            return Fetched::Failed(
                failed("input::changed", wanted.url, &message).help("try again").into(),
            );
        }
        let settled = if self.keep(wanted, &fetched, validators) {
            batch.added.store(true, Ordering::Relaxed);
            Settled::Kept(hash)
        } else {
            Settled::Held(fetched.clone())
        };
        self.settled().insert(wanted.key.clone(), settled);
        fetched
    }

    fn settled(&self) -> MutexGuard<'_, BTreeMap<String, Settled>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, wanted: &Wanted<'_>) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(hash::hex(&hash::sha256(&wanted.key))))
    }

    /// What the cache has of a file, if it is whole and what it should be.
    fn kept(&self, wanted: &Wanted<'_>) -> Option<Kept> {
        let path = self.entry(wanted)?;
        let file = File::open(&path).ok()?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut line).ok()?;
        let Head { key, hash, validators } = serde_json::from_slice(&line).ok()?;
        if key != wanted.key {
            return None;
        }
        let _ = crate::inputs::cache::touch(&path); // or it is removed sooner than it should be
        let Some(sri) = hash else {
            return Some(Kept { fetched: Fetched::Missing, hash: None, validators });
        };
        let mut content = Vec::new();
        reader.take(self.opener.network.size + 1).read_to_end(&mut content).ok()?;
        let expected = wanted.expected.as_ref().map(|(hash, _)| hash);
        let (own, due) = check(&content, expected).ok()?;
        if expected.is_some_and(|expected| *expected != due) || own.to_string() != sri {
            return None;
        }
        Some(Kept {
            fetched: Fetched::Found { content: Blob(content), hash: sri },
            hash: Some(own),
            validators,
        })
    }

    /// Keeps a file, if it may be.
    fn keep(&self, wanted: &Wanted<'_>, fetched: &Fetched, validators: Validators) -> bool {
        let (Some(path), Some(cache)) = (self.entry(wanted), &self.opener.cache) else {
            return false;
        };
        let (hash, content): (_, &[u8]) = match fetched {
            Fetched::Found { content, hash } => (Some(hash.clone()), &content.0),
            // With an expected hash, it may be had from elsewhere.
            Fetched::Missing if wanted.expected.is_none() => (None, &[]),
            _ => return false,
        };
        let Ok(mut line) = serde_json::to_vec(&Head { key: wanted.key.clone(), hash, validators })
        else {
            return false;
        };
        line.push(b'\n');
        if (line.len() + content.len()) as u64 > self.keep || line.len() as u64 > LONGEST_HEAD {
            let _ = fs::remove_file(path); // what it was before is not true any more
            return false;
        }
        let write = |file: &mut File| file.write_all(&line).and_then(|()| file.write_all(content));
        cache.replace(&path, write).is_ok()
    }
}

/// What a server answered.
enum Answer {
    Missing,
    Unchanged,
    Found { content: Vec<u8>, hash: Hash, validators: Validators },
}

impl Batch<'_> {
    fn ask(
        &self,
        wanted: &Wanted<'_>,
        known: Option<&Validators>,
    ) -> Result<Answer, Box<Diagnostic>> {
        let host = host_of(wanted.url);
        let down = || self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = down().get(host) {
            return Err(error.clone());
        }
        if self.received.load(Ordering::Relaxed) > MOST_BYTES {
            return Err(too_much("the files of one call are too large in all"));
        }
        let mut fetch = Fetch::new(&self.opener, wanted.url, wanted.url);
        (fetch.progress, fetch.limit) = (None, wanted.limit);
        let (mut file, validators) = match fetch.get(&self.agent, known) {
            Ok(Got::Unchanged) => return Ok(Answer::Unchanged),
            Ok(Got::Content { file, validators }) => (file, validators),
            Err(Failure { missing: true, .. }) => return Ok(Answer::Missing),
            Err(failure) => {
                if failure.unreachable {
                    down().insert(host.to_owned(), failure.error.clone());
                }
                return Err(failure.error);
            }
        };
        let mut content = Vec::new();
        let read = file.read_to_end(&mut content);
        let (hash, due) = read
            .and_then(|_| check(&content, wanted.expected.as_ref().map(|(hash, _)| hash)))
            .map_err(|error| {
                let message = format!("cannot keep {}: {error}", wanted.url);
                failed("input::unreadable", wanted.url, &message)
            })?;
        if let Some((expected, _)) =
            wanted.expected.as_ref().filter(|(expected, _)| *expected != due)
        {
            let message =
                format!("{} is not what it should be: {expected} is due, it has {due}", wanted.url);
            let help = "it changed or was tampered with; find out which before you take it";
            let error = Diagnostic::error("input::hash", message).access();
            return Err(error.at(Origin::new(wanted.url, None)).help(help).into());
        }
        let size = content.len() as u64;
        self.shown.reached(self.received.fetch_add(size, Ordering::Relaxed) + size);
        Ok(Answer::Found { content, hash, validators })
    }
}

/// The SHA-256 of some bytes, and their hash of the kind that is expected.
fn check(content: &[u8], expected: Option<&Hash>) -> io::Result<(Hash, Hash)> {
    let due = expected.map_or(Algorithm::Sha256, |hash| hash.algorithm);
    let own = Hash::of_bytes(content);
    if due == Algorithm::Sha256 {
        return Ok((own.clone(), own));
    }
    let hashes = hash::copy(&mut &*content, &mut io::sink(), &[due], u64::MAX)?;
    let due = hashes.and_then(|hashes| hashes.into_iter().next());
    due.map(|due| (own, due)).ok_or_else(|| io::ErrorKind::Other.into())
}

fn offline_of(url: &str) -> Box<Diagnostic> {
    let mut error = offline(url);
    error.help = Some("run once without --offline".into());
    error
}

fn broke_down(url: &str) -> Box<Diagnostic> {
    failed("input::unreachable", url, &format!("cannot fetch {url}: no answer came of it")).into()
}

fn too_large(url: &str, limit: u64) -> Box<Diagnostic> {
    let message = format!("{url} is larger than the {limit} bytes that are taken of it");
    Diagnostic::error("input::too-large", message).at(Origin::new(url, None)).into()
}

fn too_much(what: &str) -> Box<Diagnostic> {
    Diagnostic::error("host::fetch-too-much", format!("the plugin fetches too much: {what}"))
        .help("this is a fault of the plugin; tell its authors")
        .into()
}
