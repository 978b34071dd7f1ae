//! Revisions of git repositories, through the git program.
//!
//! A revision becomes an archive in three steps: `ls-remote` says which commit a branch or tag is,
//! `fetch --depth 1` brings that commit alone into an empty repository of our own, and `archive`
//! writes its files as a tar, which is read as any other. A server that gives no single commit is
//! asked for all branches and tags.
//!
//! # What git is kept from
//!
//! Git can be made to run programs: by an address, by the user's settings, by what it fetches. So
//!
//! - it is started without a shell, with an address that [`Place`](crate::inputs::Place) has checked,
//!   and behind `--`; only the protocols that fit the address are allowed, whatever settings rewrite;
//! - fetching takes place with the user's own settings (how to reach a server, credentials), but
//!   not those of the machine, and without hooks, templates, prompts, or upkeep in the background;
//! - the tar is made with no settings at all: no filters, no attributes but those of the revision,
//!   so that it is the same on every machine; nothing is ever checked out;
//! - no variable of the environment says where a repository is, as in a hook of git;
//! - time, what is fetched, and what is written are bounded.
//!
//! The content is named by the hash of its tree (see [`digest`](crate::inputs::digest)), not by that
//! of the tar, whose bytes git does not promise to keep.

use super::{failed, http::Shown, moved, offline, records::Record, shown_lines, too_large};
use crate::inputs::{
    GitPlace, Network, OpenOptions, Opener, Place,
    archive::{Bytes, Found, Naming, Source},
    cache::Cache,
    place::is_commit,
};
use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use x2nix_protocol::{Diagnostic, Hosts, PluginResult, host_of};

/// Where the wanted commit is put.
const WANTED: &str = "refs/x2nix/wanted";

/// More than this of what git says is not read, and more than this of messages ends it.
const WORDS: u64 = 1 << 20;

/// What of git's own variables stays: how servers are reached.
const KEPT: [&str; 8] = [
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_EXEC_PATH",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];

/// Settings for every call, against what others might say.
const SETTINGS: [&str; 18] = [
    "core.abbrev=40",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.symlinks=true",
    "fetch.unpackLimit=1",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "filter.lfs.smudge=",
    "gc.auto=0",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=30",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "tar.umask=0022",
];

/// Opens a revision; see [`super`] for when it is fetched.
pub(in crate::inputs) fn open(
    opener: &Opener,
    place: &GitPlace,
    label: &str,
    options: &OpenOptions,
) -> PluginResult<Found> {
    let request = Request { opener, place, label };
    let locked = options.locked.as_ref();
    let locked_commit = locked
        .filter(|locked| Place::Git(place.clone()).is_locked_as(&locked.location))
        .and_then(|locked| match Place::parse(&locked.location) {
            Ok(Place::Git(git)) => git.commit,
            _ => None,
        });
    if let Some(commit) = &locked_commit
        && let Some(digest) = options.locked_digest()
        && let Some(found) = request.source(commit).cached(digest)
    {
        return Ok(request.found(found, commit));
    }
    let mut found = request.open(locked_commit.as_deref())?;
    if locked.is_some_and(|locked| locked.hash != found.sri()) {
        found.notes.push(moved(label));
    }
    Ok(found)
}

/// Writes the files of a revision to a folder that is there and empty, as a checkout of git has them,
/// and says which commit it is; where that is known before, the revision does not matter.
///
/// # Errors
///
/// Where the address cannot be used, the network is not to be, or the revision is not there.
pub fn check_out(
    network: &Network,
    url: &str,
    revision: Option<&str>,
    commit: Option<&str>,
    submodules: bool,
    to: &Path,
) -> PluginResult<String> {
    let label = match commit.or(revision) {
        Some(name) => format!("git+{url}#{name}"),
        None => format!("git+{url}"),
    };
    let Place::Git(place) = Place::parse(&label)? else { return Err(offline(&label)) };
    if network.offline {
        return Err(offline(&label));
    }
    let opener = Opener::default().with_network(network.clone());
    let git = Git::new(&opener, &place.url, &label)?;
    let commit = if let Some(commit) = &place.commit {
        git.bring_commit(commit)?
    } else {
        let (reference, commit) = git.look_up(place.wanted())?;
        git.bring(&reference, &commit)?
    };
    git.check_out(&commit, to, submodules)?;
    Ok(commit)
}

/// One revision that is to be opened.
struct Request<'a> {
    opener: &'a Opener,
    place: &'a GitPlace,
    label: &'a str,
}

impl Request<'_> {
    fn open(&self, locked_commit: Option<&str>) -> PluginResult<Found> {
        let cache = self.opener.cache.as_ref();
        let commit = self.place.commit.as_deref().or(locked_commit);
        if let Some(found) = commit.and_then(|commit| self.known(commit)) {
            return Ok(found);
        }
        let asked = self.place.asked();
        if self.opener.network.offline {
            let last = Record::read(cache, &asked).and_then(|record| record.commit);
            let last = last.filter(|_| self.place.commit.is_none());
            return last.and_then(|commit| self.known(&commit)).ok_or_else(|| offline(self.label));
        }
        let _shown = Shown::new(self.opener.progress.as_deref(), self.label, None);
        let git = Git::new(self.opener, &self.place.url, self.label)?;
        if let Some(commit) = commit {
            match git.commit(commit) {
                Ok(tar) => return self.keep(tar, commit),
                // What a lock names may be gone; what the user names must be there.
                Err(error) if self.place.commit.is_some() => return Err(error),
                Err(_) => {}
            }
        }
        let (reference, commit) = git.look_up(self.place.wanted())?;
        let found = if let Some(found) = self.known(&commit) {
            found
        } else {
            let (tar, commit) = git.fetch(&reference, &commit)?;
            self.keep(tar, &commit)?
        };
        let commit = Place::parse(&found.location).ok().and_then(|place| match place {
            Place::Git(git) => git.commit,
            Place::Path(_) | Place::Url(_) => None,
        });
        Record { place: asked, commit, ..Record::default() }.write(cache);
        Ok(found)
    }

    /// A commit whose content the cache has.
    fn known(&self, commit: &str) -> Option<Found> {
        let record = Record::read(self.opener.cache.as_ref(), commit)?;
        let found = self.source(commit).cached(record.content?)?;
        Some(self.found(found, commit))
    }

    /// Reads the tar of a commit, and remembers its content.
    fn keep(&self, tar: File, commit: &str) -> PluginResult<Found> {
        let found = self.source(commit).unpack(tar)?;
        let content = Some(found.digest);
        Record { place: commit.to_owned(), content, ..Record::default() }
            .write(self.opener.cache.as_ref());
        Ok(self.found(found, commit))
    }

    fn found(&self, found: Found, commit: &str) -> Found {
        found.at(&Place::Git(self.place.at(commit)).text())
    }

    fn source(&self, commit: &str) -> Source {
        let again = Again {
            opener: self.opener.clone(),
            place: self.place.at(commit),
            label: self.label.to_owned(),
        };
        Source::new(again, self.label, Naming::Tree, self.opener)
    }
}

/// Fetches a commit again whose pack was damaged while it was in use.
#[derive(Debug)]
struct Again {
    opener: Opener,
    place: GitPlace,
    label: String,
}

impl Bytes for Again {
    fn open(&self) -> PluginResult<File> {
        if self.opener.network.offline {
            return Err(offline(&self.label));
        }
        let git = Git::new(&self.opener, &self.place.url, &self.label)?;
        git.commit(self.place.commit.as_deref().unwrap_or_default())
    }
}

/// An empty repository of our own, and an address to fetch into it from.
struct Git<'a> {
    opener: &'a Opener,
    url: &'a str,
    label: &'a str,
    folder: TempDir,
    until: Instant,
}

impl<'a> Git<'a> {
    fn new(opener: &'a Opener, url: &'a str, label: &'a str) -> PluginResult<Self> {
        let host = host_of(url);
        if !host.is_empty() && !opener.network.hosts.allow(host) {
            let message = format!("{label}: {host} is none of the hosts that may be reached");
            let help = format!("if that is meant, grant it: --allow fetch={host}");
            return Err(failed("input::git", label, &message).help(help).into());
        }
        let folder = Cache::temporary(opener.cache.as_ref()).map_err(|error| no_room(&error))?;
        Ok(Self { opener, url, label, folder, until: Instant::now() + opener.network.total })
    }

    /// Which commit a revision is, and the name under which to fetch it.
    fn look_up(&self, revision: &str) -> PluginResult<(String, String)> {
        // In the order in which git itself looks, but for names that only a local repository has.
        let names = match revision {
            "HEAD" => vec!["HEAD".to_owned()],
            name if name.starts_with("refs/") => vec![name.to_owned()],
            name => vec![format!("refs/tags/{name}"), format!("refs/heads/{name}")],
        };
        let mut command = self.command("ls-remote", Settings::Users);
        command.args(["--quiet", "--", self.url]).args(&names);
        // A tag with a message is an object of its own; this asks for the commit that it is of.
        command.args(names.iter().map(|name| format!("{name}^{{}}")));
        let answer = self.words(command)?;
        let refs: Vec<(&str, &str)> =
            answer.lines().filter_map(|line| line.split_once('\t')).collect();
        let find = |name: &str| refs.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
        for name in &names {
            let commit = find(&format!("{name}^{{}}")).or_else(|| find(name));
            if let Some(commit) = commit.filter(|commit| is_commit(commit)) {
                return Ok((name.clone(), commit.to_owned()));
            }
        }
        Err(self.no_revision(revision))
    }

    /// The tar of a commit by its id.
    fn commit(&self, commit: &str) -> PluginResult<File> {
        let commit = self.bring_commit(commit)?;
        self.archive(&commit)
    }

    /// Fetches a commit by its id.
    fn bring_commit(&self, commit: &str) -> PluginResult<String> {
        let refused = match self.bring(commit, commit) {
            Ok(commit) => return Ok(commit),
            Err(error) if error.code == "input::git" => error,
            Err(error) => return Err(error),
        };
        // Some servers only give what has a name.
        let mut command = self.command("fetch", Settings::Users);
        command.args(["--quiet", "--no-tags", "--", self.url]);
        command.args(["+refs/heads/*:refs/x2nix/heads/*", "+refs/tags/*:refs/x2nix/tags/*"]);
        self.words(command).map_err(|_| refused)?;
        self.resolve(commit).map_err(|_| self.no_revision(commit))
    }

    /// Fetches a commit by a name or its id; gives its tar, and the commit that it turned out to be.
    fn fetch(&self, name: &str, expected: &str) -> PluginResult<(File, String)> {
        let commit = self.bring(name, expected)?;
        Ok((self.archive(&commit)?, commit))
    }

    /// Fetches a commit by a name or its id; gives the commit that it turned out to be.
    fn bring(&self, name: &str, expected: &str) -> PluginResult<String> {
        let mut command = self.command("init", Settings::None);
        // The only other format has longer ids.
        let format = if expected.len() == 64 { "sha256" } else { "sha1" };
        command.args(["--quiet", "--bare", "--template=", "--object-format", format]);
        self.words(command)?;
        let mut command = self.command("fetch", Settings::Users);
        command.args(["--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--"]);
        command.args([self.url, &format!("+{name}:{WANTED}")]);
        self.words(command)?;
        self.resolve(WANTED)
    }

    /// Writes the files of a commit to a folder that is there and empty, with those of its submodules if
    /// they are wanted, and nothing of Git's own.
    fn check_out(&self, commit: &str, to: &Path, submodules: bool) -> PluginResult<()> {
        let mut command = self.command("checkout", Settings::None);
        command.env("GIT_WORK_TREE", to).args(["--quiet", "--force", "--detach", commit, "--"]);
        self.words(command)?;
        if submodules && fs::symlink_metadata(to.join(".gitmodules")).is_ok() {
            // Relative addresses in `.gitmodules` start from this one.
            let mut command = self.command("config", Settings::None);
            command.args(["remote.origin.url", self.url]);
            self.words(command)?;
            // Servers may want the user's settings here as well.
            let mut command = self.command("submodule", Settings::Users);
            command.args(["--quiet", "update", "--init", "--recursive"]);
            command.env("GIT_WORK_TREE", to).current_dir(to);
            self.words(command)?;
        }
        remove_git(to).map_err(|error| no_room(&error))
    }

    fn resolve(&self, name: &str) -> PluginResult<String> {
        let mut command = self.command("rev-parse", Settings::None);
        command.args(["--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]);
        let id = self.words(command)?.trim().to_owned();
        if is_commit(&id) { Ok(id) } else { Err(self.no_revision(name)) }
    }

    fn archive(&self, commit: &str) -> PluginResult<File> {
        let mut command = self.command("archive", Settings::None);
        command.args(["--format=tar", commit]);
        self.run(command, self.opener.limits.unpacked)
    }

    /// A command in the repository.
    fn command(&self, name: &str, settings: Settings) -> Command {
        let mut command = Command::new(&self.opener.network.git);
        for (key, _) in env::vars_os() {
            let own =
                key.to_str().is_some_and(|key| key.starts_with("GIT_") && !KEPT.contains(&key));
            if own {
                command.env_remove(key);
            }
        }
        let protocols = match self.url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "file" => "file",
            "git" => "git",
            "http" => "http:https",
            _ => "https:ssh",
        };
        let nowhere = OsStr::new("/dev/null");
        command
            .env("GIT_ALLOW_PROTOCOL", protocols)
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_DIR", self.folder.path())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C");
        if settings == Settings::None {
            command.env("GIT_CONFIG_GLOBAL", nowhere);
        }
        let own_ssh = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| env::var_os(name).is_some());
        if self.url.starts_with("ssh:") && !own_ssh {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30");
        }
        if !self.opener.network.proxies {
            command.args(["-c", "http.proxy="]);
        }
        if self.opener.network.hosts != Hosts::Any {
            command.args(["-c", "http.followRedirects=false"]);
        }
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting])).arg(name);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command that answers with a few words.
    fn words(&self, command: Command) -> PluginResult<String> {
        let answer = self.run(command, WORDS)?;
        text_of(answer).map_err(|error| no_room(&error))
    }

    /// Runs a command and gives what it wrote.
    ///
    /// Both of its streams are files, not pipes: whoever of its children lives on cannot hold us up.
    fn run(&self, mut command: Command, limit: u64) -> PluginResult<File> {
        let scratch = || Cache::scratch(self.opener.cache.as_ref()).map_err(|e| no_room(&e));
        let (mut out, errors) = (scratch()?, scratch()?);
        let share = |file: &File| file.try_clone().map_err(|error| no_room(&error));
        command.stdout(share(&out)?).stderr(share(&errors)?);
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let mut pause = Duration::from_millis(2);
        let over = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) => {}
                Err(error) => break Err(self.not_started(&error)),
            }
            let length = |file: &File| file.metadata().map_or(0, |about| about.len());
            if Instant::now() > self.until {
                break Err(self.timeout());
            }
            if length(&out) > limit || length(&errors) > WORDS || self.is_full() {
                break Err(too_large(self.label, self.opener.network.size));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        let status = over.inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        if !status.success() {
            let said = text_of(errors).unwrap_or_default();
            return Err(self.said(&said));
        }
        if out.metadata().map_or(0, |about| about.len()) > limit || self.is_full() {
            return Err(too_large(self.label, self.opener.network.size));
        }
        out.rewind().map_err(|error| no_room(&error))?;
        Ok(out)
    }

    /// Whether more was fetched than is allowed.
    fn is_full(&self) -> bool {
        let size = |name: &str| folder_size(&self.folder.path().join(name));
        size("objects/pack") + size("modules") > self.opener.network.size
    }

    fn said(&self, said: &str) -> Box<Diagnostic> {
        let said = shown_lines(said.trim_start_matches("fatal: "));
        let message = format!("git cannot fetch {}: {said}", self.label);
        failed("input::git", self.label, &message)
            .help("check the address, and that `git ls-remote` works with it")
            .into()
    }

    fn no_revision(&self, revision: &str) -> Box<Diagnostic> {
        let message = format!("{} has no revision {revision}", self.label);
        failed("input::git-revision", self.label, &message)
            .help("give a branch, a tag, or the whole id of a commit")
            .into()
    }

    fn timeout(&self) -> Box<Diagnostic> {
        let message = format!("git takes too long with {}", self.label);
        failed("input::timeout", self.label, &message)
            .help("try again later, or give a folder that it is cloned to")
            .into()
    }

    fn not_started(&self, error: &io::Error) -> Box<Diagnostic> {
        let message = format!("{} needs git, which cannot be run: {error}", self.label);
        failed("input::no-git", self.label, &message)
            .help("install git, or give a folder or an archive instead")
            .into()
    }
}

/// Whose settings a command heeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settings {
    Users,
    None,
}

fn folder_size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => folder_size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Removes what Git itself leaves below a folder.
fn remove_git(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        let is_folder = entry?.is_dir();
        match (path.file_name() == Some(OsStr::new(".git")), is_folder) {
            (true, true) => fs::remove_dir_all(path)?,
            (true, false) => fs::remove_file(path)?,
            (false, true) => remove_git(&path)?,
            (false, false) => {}
        }
    }
    Ok(())
}

fn text_of(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(WORDS).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn no_room(error: &io::Error) -> Box<Diagnostic> {
    Diagnostic::error("input::unreadable", format!("cannot keep what git fetches: {error}"))
        .access()
        .help("check that the folder for temporary files has room")
        .into()
}
