//! Where an input is, as the user or a lock says it.
//!
//! | text                       | what it is                                                      |
//! |----------------------------|-----------------------------------------------------------------|
//! | `https://…`, `http://…`    | an archive to fetch                                             |
//! | `git+URL`                  | what `HEAD` of a git repository points to                       |
//! | `git+URL#REV`              | a branch, a tag, or the whole id of a commit                    |
//! | `git+URL#REV:COMMIT`       | the commit that a branch or tag pointed to: what a lock records |
//! | anything else              | a path of a folder or an archive                                |
//!
//! No name of a revision has a colon in it, so the last form means one thing only. With it a lock
//! says both what the user asked for, so that `--update` can follow the branch, and what that was,
//! so that it can be had again when the branch has moved on.
//!
//! An address goes to a program and into messages and locks. So it has no control characters or
//! blanks, nothing in it can be taken for an option, and a password in it is refused.

use super::path::shown;
use std::path::{Path, PathBuf};
use x2nix_protocol::{Diagnostic, PluginResult};

/// Where an input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder or an archive on this machine.
    Path(PathBuf),
    /// The address of an archive.
    Url(String),
    /// A revision of a git repository.
    Git(GitPlace),
}

/// A revision of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitPlace {
    pub(super) url: String,
    /// A branch, a tag, or the whole id of a commit; `None` for `HEAD`.
    pub(super) revision: Option<String>,
    /// What the revision is known to be.
    pub(super) commit: Option<String>,
}

/// The longest address.
const LENGTH: usize = 2048;

/// The ways in which git may be told to reach a repository.
const GIT_SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];

impl Place {
    /// Reads a place. Addresses of a kind that is not supported are refused, and not taken for paths.
    pub fn parse(text: &str) -> PluginResult<Self> {
        if let Some(git) = text.strip_prefix("git+") {
            return GitPlace::parse(git, text).map(Self::Git);
        }
        match scheme_of(text) {
            None => Ok(Self::Path(PathBuf::from(text))),
            Some("http" | "https") => {
                let address = Address::of(text, text)?;
                if address.user.is_some() {
                    return Err(password(text));
                }
                if text.contains('#') {
                    return Err(refused(text, "an archive has no `#` part"));
                }
                Ok(Self::Url(text.to_owned()))
            }
            Some(_) => Err(refused(text, "this kind of address is not supported")),
        }
    }

    /// The place as text; of a path, as it was given.
    pub fn text(&self) -> String {
        match self {
            Self::Path(path) => path.to_string_lossy().into_owned(),
            Self::Url(url) => url.clone(),
            Self::Git(git) => git.text(),
        }
    }

    /// The path, if the place is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Url(_) | Self::Git(_) => None,
        }
    }

    /// Whether a location in a lock is of this place: the same address, and the same revision asked
    /// for, whatever it was at that time. A path is none's: what lies there now counts.
    pub fn is_locked_as(&self, location: &str) -> bool {
        match (self, Self::parse(location)) {
            (Self::Url(url), Ok(Self::Url(locked))) => *url == locked,
            (Self::Git(git), Ok(Self::Git(locked))) => {
                let asked =
                    |git: &GitPlace| git.revision.clone().filter(|revision| revision != "HEAD");
                git.url == locked.url
                    && asked(git) == asked(&locked)
                    && (git.commit.is_none() || git.commit == locked.commit)
            }
            _ => false,
        }
    }
}

impl GitPlace {
    fn parse(text: &str, whole: &str) -> PluginResult<Self> {
        let (url, revision) = match text.split_once('#') {
            Some((url, revision)) => (url, Some(revision)),
            None => (text, None),
        };
        if !scheme_of(url).is_some_and(|scheme| GIT_SCHEMES.contains(&scheme)) {
            return Err(refused(whole, "git can be reached by https, http, ssh, git and file"));
        }
        let address = Address::of(url, whole)?;
        let is_ssh = url.starts_with("ssh:");
        if address.user.is_some_and(|user| user.contains(':') || !is_ssh) {
            return Err(password(whole));
        }
        let (revision, commit) = match revision.and_then(|revision| revision.split_once(':')) {
            Some((revision, commit)) => (Some(revision), Some(commit)),
            None => (revision, None),
        };
        if !revision.is_none_or(is_revision) {
            return Err(refused(whole, "behind the `#` there is no name of a revision"));
        }
        if !commit.is_none_or(is_commit) {
            return Err(refused(whole, "behind the `:` there is no whole id of a commit"));
        }
        let given = revision.filter(|revision| commit.is_none() && is_commit(revision));
        Ok(Self {
            url: url.to_owned(),
            revision: revision.map(str::to_owned),
            commit: commit.or(given).map(str::to_owned),
        })
    }

    /// The revision that was asked for, to look it up.
    pub(super) fn wanted(&self) -> &str {
        self.revision.as_deref().unwrap_or("HEAD")
    }

    /// The same revision, known to be a commit.
    pub(super) fn at(&self, commit: &str) -> Self {
        Self { commit: Some(commit.to_owned()), ..self.clone() }
    }

    /// What git is to be asked for, without what is known of it.
    pub(super) fn asked(&self) -> String {
        format!("git+{}#{}", self.url, self.wanted())
    }

    fn text(&self) -> String {
        match (&self.revision, &self.commit) {
            (None, None) => format!("git+{}", self.url),
            (Some(revision), Some(commit)) if revision == commit => self.asked(),
            (_, Some(commit)) => format!("{}:{commit}", self.asked()),
            (Some(_), None) => self.asked(),
        }
    }
}

/// What comes before `:`, if the text has the form of an address.
///
/// A scheme has two letters at least, so a drive is none; and what git would take for a remote
/// helper (`ext::…`) counts as one, so that it is refused.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let plain = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    (plain && (rest.starts_with("//") || rest.starts_with(':'))).then_some(scheme)
}

/// The parts of an address that are looked at.
struct Address<'a> {
    user: Option<&'a str>,
}

impl<'a> Address<'a> {
    fn of(url: &'a str, whole: &str) -> PluginResult<Self> {
        if url.len() > LENGTH {
            return Err(refused(whole, "the address is too long"));
        }
        if !whole.chars().all(|c| c.is_ascii_graphic() && !"\"'`<>\\^{|}".contains(c)) {
            return Err(refused(whole, "it has a character that no address has"));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refused(whole, "it is no address"));
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if scheme == "file" {
            if !authority.is_empty() || path.len() < 2 || path.starts_with("//") {
                return Err(refused(whole, "after `file://` comes the whole path of a folder"));
            }
        } else if host.is_empty() || host.starts_with(['-', ':']) {
            return Err(refused(whole, "it has no host"));
        }
        if user.is_some_and(|user| user.is_empty() || user.starts_with('-')) {
            return Err(refused(whole, "it has no user before the `@`"));
        }
        Ok(Self { user })
    }
}

/// Whether a text is the whole id of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text can be the name of a branch or a tag, by git's own rules.
fn is_revision(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.len() <= 255
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text.chars().all(|c| c.is_ascii_graphic() && !"~^:?*[\\".contains(c))
        && text.split('/').all(part)
}

fn refused(text: &str, why: &str) -> Box<Diagnostic> {
    Diagnostic::error("input::address", format!("cannot use {}: {why}", shown(text)))
        .help("give a folder, an archive, https://…/NAME.tar.gz, or git+https://…#REVISION")
        .into()
}

/// Does not repeat the address, which may end up in a log.
fn password(text: &str) -> Box<Diagnostic> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let message = format!(
        "this {scheme} address has a user or a password in it, and would be written into the lock"
    );
    Diagnostic::error("input::password", message)
        .help("leave them out of the address; git asks its credential helper, ssh its agent")
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn places_come_back_as_text() {
        for text in [
            "repo",
            "./a b/repo.tar.gz",
            "C:/repo",
            "-odd",
            "https://host.invalid/a.tar.gz",
            "http://127.0.0.1:80/a?b=c",
            "git+https://host.invalid/a.git",
            "git+https://host.invalid/a.git#main",
            "git+ssh://git@host.invalid/a#feature/x",
            "git+file:///a/b#v1.0",
        ] {
            assert_eq!(Place::parse(text).unwrap().text(), text);
        }
        for revision in [COMMIT.to_owned(), format!("main:{COMMIT}")] {
            let text = format!("git+https://host.invalid/a#{revision}");
            let Place::Git(git) = Place::parse(&text).unwrap() else { panic!() };
            assert_eq!((git.commit.as_deref(), git.text()), (Some(COMMIT), text));
        }
        let Place::Git(git) = Place::parse("git+file:///a").unwrap() else { panic!() };
        assert_eq!(git.at(COMMIT).text(), format!("git+file:///a#HEAD:{COMMIT}"));
    }

    #[test]
    fn hostile_addresses_are_refused() {
        for text in [
            "git+ext::sh -c id",
            "git+ext::sh%20-c%20id",
            "ext::sh -c id",
            "git+--upload-pack=id",
            "git+-u",
            "git+fd::17",
            "git+git@host.invalid:a",
            "git+https://-oProxyCommand=id/a",
            "git+ssh://-oProxyCommand=id/a",
            "git+ssh://-l@host.invalid/a",
            "git+ssh://@host.invalid/a",
            "git+https://host.invalid/a#--upload-pack=id",
            "git+https://host.invalid/a#a..b",
            "git+https://host.invalid/a#a b",
            "git+https://host.invalid/a#a:b",
            "git+https://host.invalid/a#",
            "git+https://host.invalid/a\n#b",
            "git+https:///a",
            "git+file://relative",
            "git+file:////host/share",
            "git+ftp://host.invalid/a",
            "ftp://host.invalid/a.tar.gz",
            "file:///a",
            "https://",
            "https://host.invalid/a b",
            "https://host.invalid/\u{1b}[31m",
            "https://host.invalid/a#b",
        ] {
            let error = Place::parse(text).unwrap_err();
            assert_eq!(error.code, "input::address", "{text}");
            assert!(!error.message.contains(['\n', '\u{1b}']), "{text}");
        }
        for text in [
            "https://u:secret@host.invalid/a",
            "https://secret@host.invalid/a",
            "git+https://secret@host.invalid/a",
            "git+ssh://u:secret@host.invalid/a",
        ] {
            let error = Place::parse(text).unwrap_err();
            assert_eq!(error.code, "input::password", "{text}");
            assert!(!error.message.contains("secret"));
        }
    }

    #[test]
    fn a_lock_is_matched_by_what_was_asked_for() {
        let is = |text: &str, location: &str| {
            let location = location.replace("COMMIT", COMMIT);
            Place::parse(text).unwrap().is_locked_as(&location)
        };
        assert!(is("https://a.invalid/x", "https://a.invalid/x"));
        assert!(is("git+file:///a", "git+file:///a#HEAD:COMMIT"));
        assert!(is("git+file:///a#HEAD", "git+file:///a#HEAD:COMMIT"));
        assert!(is("git+file:///a#main", "git+file:///a#main:COMMIT"));
        assert!(!is("git+file:///a#main", "git+file:///a#HEAD:COMMIT"));
        assert!(!is("git+file:///a#main", "git+file:///b#main:COMMIT"));
        assert!(!is("https://a.invalid/x", "https://a.invalid/y"));
        assert!(!is("repo", "repo"));
    }
}
