//! What a plugin may do beside reading the inputs of a request: its manifest asks, the user grants,
//! and one layer between plugin and host enforces, whatever carries the plugin.
//!
//! As text, a capability is `read=DIR`, `fetch=HOST`, `env=NAME` or `cache=BYTES`.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
};
use x2nix_plugin_host::inputs::Place;
use x2nix_protocol::{
    ANY_HOSTS, CONFIGURED_HOSTS, Capabilities, Describe, Diagnostic, FetchAnswer, FetchRequest,
    Host, Hosts, InputKind, ListAnswer, ListRequest, OpenRequest, OpenTreeRequest, Opened,
    OpenedTree, Plugin, PluginResult, ReadAnswer, ReadRequest, host_of,
};

/// Adds a capability given as text.
pub fn add(granted: &mut Capabilities, text: &str) -> PluginResult<()> {
    let refuse = || {
        Diagnostic::error("plugin::grant", format!("{text:?} is nothing that can be granted"))
            .help("write read=DIR, fetch=HOST, env=NAME or cache=BYTES")
    };
    let (kind, value) =
        text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(refuse)?;
    match kind {
        "read" => granted.read.push(value.to_owned()),
        "fetch" => granted.fetch.push(value.to_owned()),
        "env" => granted.environment.push(value.to_owned()),
        "cache" => granted.cache = Some(value.parse().map_err(|_| refuse())?),
        _ => return Err(refuse().into()),
    }
    Ok(())
}

/// Capabilities as texts, sorted.
pub fn texts(capabilities: &Capabilities) -> Vec<String> {
    let Capabilities { read, fetch, environment, cache } = capabilities;
    let mut texts: Vec<_> = cache
        .iter()
        .map(|bytes| format!("cache={bytes}"))
        .chain(environment.iter().map(|name| format!("env={name}")))
        .chain(fetch.iter().map(|host| format!("fetch={host}")))
        .chain(read.iter().map(|folder| format!("read={folder}")))
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

/// What is asked for and not granted. Where that is any host, one that is granted will do.
pub fn missing(asked: &Capabilities, granted: &Capabilities) -> Capabilities {
    let mut missing = without(asked, granted);
    if !granted.fetch.is_empty() {
        missing.fetch.retain(|host| host != ANY_HOSTS);
    }
    missing
}

/// What is asked for and not denied.
pub fn without(asked: &Capabilities, others: &Capabilities) -> Capabilities {
    let rest = |asked: &[String], covers: &dyn Fn(&String) -> bool| {
        asked.iter().filter(|it| !covers(it)).cloned().collect()
    };
    let hosts = Hosts::Only(others.fetch.clone());
    Capabilities {
        read: rest(&asked.read, &|folder| may_read(others, Path::new(folder))),
        fetch: rest(&asked.fetch, &|host| hosts.allow(host)),
        environment: rest(&asked.environment, &|name| others.environment.contains(name)),
        cache: asked.cache.filter(|&bytes| others.cache.is_none_or(|most| most < bytes)),
    }
}

/// What a plugin has: of what was granted, that which it asks for.
pub fn of_both(asked: &Capabilities, granted: &Capabilities) -> Capabilities {
    let missing = missing(asked, granted);
    let rest = |asked: &[String], missing: &[String]| {
        asked.iter().filter(|it| !missing.contains(it)).cloned().collect()
    };
    let mut fetch: Vec<_> = rest(&asked.fetch, &missing.fetch);
    if fetch.iter().any(|host| host == ANY_HOSTS) {
        fetch.clone_from(&granted.fetch);
    }
    Capabilities {
        read: rest(&asked.read, &missing.read),
        fetch,
        environment: rest(&asked.environment, &missing.environment),
        cache: asked.cache.filter(|_| missing.cache.is_none()),
    }
}

/// Whether a path is in a granted folder. Links are followed; a `..` is not.
fn may_read(granted: &Capabilities, path: &Path) -> bool {
    let plain = |path: &Path| !path.components().any(|part| part == Component::ParentDir);
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.is_absolute()
        && plain(path)
        && granted.read.iter().any(|folder| real(path).starts_with(real(Path::new(folder))))
}

/// A plugin with its capabilities and nothing more.
pub struct Granted {
    /// The plugin.
    pub plugin: Arc<dyn Plugin>,
    /// What to call it in messages.
    pub label: String,
    /// What it may do.
    pub capabilities: Capabilities,
    /// The project: what lies below it may be opened without asking.
    pub project: Option<PathBuf>,
    /// The user's environment variables; it gets those that it may.
    pub environment: BTreeMap<String, String>,
}

impl Plugin for Granted {
    fn describe(&self) -> Describe {
        self.plugin.describe()
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let mut hosts = self.capabilities.fetch.clone();
        if hosts.iter().any(|host| host == CONFIGURED_HOSTS) {
            hosts.extend(configured_hosts(request));
        }
        let host = Guard {
            host,
            label: self.label.clone(),
            capabilities: self.capabilities.clone(),
            hosts: Hosts::Only(hosts),
            project: self.project.clone(),
        };
        let mut request = request.clone();
        let may = |name: &String| self.capabilities.environment.contains(name);
        let variables = self.environment.iter().filter(|(name, _)| may(name));
        request.user_environment =
            variables.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.plugin.open(Arc::new(host), &request)
    }
}

/// The hosts of the addresses that the user's own configuration names: repositories, variables, options.
fn configured_hosts(request: &OpenRequest) -> impl Iterator<Item = String> {
    let repositories = request.inputs.iter().filter(|input| input.kind == InputKind::Repository);
    let labels = repositories.map(|input| &input.label);
    let texts =
        labels.chain(request.environment.values()).chain(request.options.values().flatten());
    texts.map(|text| host_of(text).to_owned()).filter(|host| !host.is_empty())
}

/// A host that does what was granted.
struct Guard {
    host: Arc<dyn Host>,
    label: String,
    capabilities: Capabilities,
    /// What may be reached.
    hosts: Hosts,
    project: Option<PathBuf>,
}

impl Guard {
    fn refuse(&self, what: &str, grant: &str) -> Box<Diagnostic> {
        let message = format!("plugin {} may not {what}", self.label);
        let help = format!(
            "a plugin's manifest asks for what it needs; then it can be granted: --allow {grant}"
        );
        Diagnostic::error("plugin::not-granted", message).help(help).into()
    }

    fn check_address(&self, address: &str) -> PluginResult<()> {
        match host_of(address) {
            "" => self
                .check_path(Path::new(address.split_once("://").map_or(address, |(_, path)| path))),
            host if self.hosts.allow(host) => Ok(()),
            host => Err(self.refuse(&format!("fetch from {host}"), &format!("fetch={host}"))),
        }
    }

    fn check_path(&self, path: &Path) -> PluginResult<()> {
        let whole = self.project.as_ref().map_or_else(|| path.to_owned(), |it| it.join(path));
        let in_project = self.project.as_ref().is_some_and(|project| {
            let project = std::path::absolute(project).unwrap_or_else(|_| project.clone());
            let own = Capabilities {
                read: vec![project.to_string_lossy().into_owned()],
                ..Capabilities::default()
            };
            may_read(&own, &std::path::absolute(&whole).unwrap_or_else(|_| whole.clone()))
        });
        if in_project || may_read(&self.capabilities, &whole) {
            return Ok(());
        }
        let shown = whole.display();
        Err(self.refuse(&format!("read {shown}"), &format!("read={shown}")))
    }
}

impl Host for Guard {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        self.host.list(request)
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        self.host.read(request)
    }

    fn open(&self, request: &OpenTreeRequest) -> PluginResult<OpenedTree> {
        match Place::parse(&request.place)? {
            Place::Path(path) => self.check_path(&path)?,
            Place::Url(_) | Place::Git(_) => self.check_address(&request.place)?,
        }
        self.host.open_within(request, &self.hosts)
    }

    fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    fn fetch(&self, request: &FetchRequest) -> PluginResult<FetchAnswer> {
        // What has no host is no address, and the host says so.
        let mut hosts = request.files.iter().map(|file| host_of(&file.url));
        if let Some(host) = hosts.find(|host| !host.is_empty() && !self.hosts.allow(host)) {
            return Err(self.refuse(&format!("fetch from {host}"), &format!("fetch={host}")));
        }
        self.host.fetch_within(request, &self.hosts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn granted(texts: &[&str]) -> Capabilities {
        let mut granted = Capabilities::default();
        for text in texts {
            add(&mut granted, text).expect("it can be granted");
        }
        granted
    }

    #[test]
    fn hosts_are_compared_whole() {
        let some = Hosts::Only(granted(&["fetch=example.org", "fetch=*.example.com"]).fetch);
        for (address, may) in [
            ("https://example.org/a", true),
            ("https://EXAMPLE.org:443/a", true),
            ("git+https://user@example.org/a#main", true),
            ("https://example.org.evil.net/", false),
            ("https://example.org@evil.net/", false),
            ("https://evil.net/?https://example.org", false),
            ("https://notexample.org/", false),
            ("https://a.example.com/", true),
            ("https://example.com/", false),
            ("https://[::1]:80/", false),
        ] {
            assert_eq!(some.allow_address(address), may, "{address}");
        }
    }

    #[test]
    fn who_asks_for_any_host_gets_those_that_are_granted() {
        let asked = granted(&["fetch=*"]);
        assert_eq!(texts(&missing(&asked, &granted(&["env=A"]))), ["fetch=*"]);
        let some = granted(&["fetch=a.org", "fetch=*.b.org"]);
        assert!(missing(&asked, &some).is_none());
        assert_eq!(of_both(&asked, &some), some);
        // That one host is denied does not mean that all are.
        assert_eq!(without(&asked, &some), asked);
        assert!(without(&asked, &asked).is_none());
        assert!(Hosts::Only(asked.fetch).allow("anywhere.org"));
        assert!(!Hosts::Only(some.fetch).allow("anywhere.org"));
    }

    #[test]
    fn folders_are_compared_by_their_parts() {
        let some = granted(&["read=/opt/data"]);
        for (path, may) in [
            ("/opt/data", true),
            ("/opt/data/a/b", true),
            ("/opt/database", false),
            ("/opt/data/../secret", false),
            ("opt/data", false),
        ] {
            assert_eq!(may_read(&some, Path::new(path)), may, "{path}");
        }
    }

    #[test]
    fn a_link_leads_out_of_no_granted_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).expect("a folder");
        std::os::unix::fs::symlink("/etc", inside.join("link")).expect("a link");
        let some = granted(&[&format!("read={}", inside.display())]);
        assert!(may_read(&some, &inside));
        assert!(!may_read(&some, &inside.join("link/passwd")));
    }

    #[test]
    fn what_is_missing_is_what_no_grant_covers() {
        let asked =
            granted(&["fetch=a.org", "fetch=b.org", "read=/opt/data/x", "env=TOKEN", "cache=10"]);
        let some = granted(&["fetch=a.org", "read=/opt/data", "cache=5", "env=OTHER"]);
        let missing = missing(&asked, &some);
        assert_eq!(texts(&missing), ["cache=10", "env=TOKEN", "fetch=b.org"]);
        assert_eq!(texts(&of_both(&asked, &some)), ["fetch=a.org", "read=/opt/data/x"]);
        for bad in ["read", "read=", "write=/", "cache=much", ""] {
            assert_eq!(add(&mut Capabilities::default(), bad).unwrap_err().code, "plugin::grant");
        }
    }
}
