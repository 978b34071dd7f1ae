//! Files behind an address.
//!
//! Redirections are followed here and not by the library, so that each address is one that may be reached.

use super::{
    Network, Progress, failed,
    files::WORKERS,
    moved, offline,
    records::{Record, Validators},
    too_large,
};
use crate::inputs::{
    OpenOptions, Opener, Place,
    archive::{Bytes, Found, Naming, Source},
    cache::Cache,
    path::shown,
};
use fluent_uri::{Uri, UriRef};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    error::Error as _,
    fs::File,
    io::{self, ErrorKind, Read, Seek as _, Write as _},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use ureq::{
    Agent, Body,
    config::Config,
    http::{HeaderMap, Response, StatusCode, header},
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use x2nix_protocol::{Diagnostic, PluginResult, host_of};

/// The longest pause between two attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// So many bytes in a second have to come, on the average of the time that a server may be silent.
const SLOWEST: u128 = 10;

/// A header that is longer is not kept.
const VALIDATOR: usize = 1 << 10;

/// Opens the archive at an address; see [`super`] for when it is fetched.
pub(in crate::inputs) fn open(
    opener: &Opener,
    url: &str,
    label: &str,
    options: &OpenOptions,
) -> PluginResult<Found> {
    let again = Again { opener: opener.clone(), url: url.to_owned(), label: label.to_owned() };
    let source = Source::new(again, label, Naming::Bytes, opener);
    if let Some(found) = options.locked_digest().and_then(|digest| source.cached(digest)) {
        return Ok(found.at(url));
    }
    let cache = opener.cache.as_ref();
    let record = Record::read(cache, url).unwrap_or_default();
    let known = record.content.and_then(|digest| source.cached(digest));
    let found = if opener.network.offline {
        known.ok_or_else(|| offline(label))?
    } else {
        // What is asked for only if it changed must be there if it did not.
        let validators = known.is_some().then_some(&record.validators);
        match Fetch::new(opener, url, label).get(&agent(&opener.network), validators)? {
            Got::Unchanged => known.ok_or_else(|| offline(label))?,
            Got::Content { file, validators } => {
                let found = source.unpack(file)?;
                let content = Some(found.digest);
                let place = url.to_owned();
                Record { place, content, validators, commit: None }.write(cache);
                found
            }
        }
    };
    let mut found = found.at(url);
    if options.locked.as_ref().is_some_and(|locked| locked.hash != found.sri()) {
        found.notes.push(moved(label));
    }
    Ok(found)
}

/// Fetches the file at an address, as it is, into a file without a name. Nothing is kept of it, and
/// nothing is said of what it should be: the caller compares its hashes.
pub fn download(network: &Network, url: &str) -> PluginResult<File> {
    let Place::Url(url) = Place::parse(url)? else {
        let message = format!("{} is no address of a file", shown(url));
        return Err(failed("input::unreachable", url, &message)
            .help("give the file itself")
            .into());
    };
    let url = url.as_str();
    if network.offline {
        return Err(offline(url));
    }
    let opener = Opener::default().with_network(network.clone());
    match Fetch::new(&opener, url, url).get(&agent(network), None)? {
        Got::Content { file, .. } => Ok(file),
        Got::Unchanged => Err(offline(url)),
    }
}

/// Fetches an archive again whose pack was damaged while it was in use.
#[derive(Debug)]
struct Again {
    opener: Opener,
    url: String,
    label: String,
}

impl Bytes for Again {
    fn open(&self) -> PluginResult<File> {
        let Self { opener, url, label } = self;
        if opener.network.offline {
            return Err(offline(label));
        }
        match Fetch::new(opener, url, label).get(&agent(&opener.network), None)? {
            Got::Content { file, .. } => Ok(file),
            Got::Unchanged => Err(offline(label)),
        }
    }
}

/// What a server answered.
pub(super) enum Got {
    Unchanged,
    Content { file: File, validators: Validators },
}

/// Why a fetch failed.
pub(super) struct Failure {
    pub(super) error: Box<Diagnostic>,
    /// Whether the server says that there is no such file.
    pub(super) missing: bool,
    /// Whether the server cannot be reached at all, or takes too long.
    pub(super) unreachable: bool,
    outlook: Outlook,
}

/// Whether to try again.
enum Outlook {
    Lasting,
    /// It may pass, after this pause where the server says it.
    Passing(Option<Duration>),
}

impl Failure {
    fn new(error: impl Into<Box<Diagnostic>>, outlook: Outlook) -> Self {
        Self { error: error.into(), missing: false, unreachable: false, outlook }
    }

    fn last(error: impl Into<Box<Diagnostic>>) -> Self {
        Self::new(error, Outlook::Lasting)
    }

    fn passing(error: impl Into<Box<Diagnostic>>, after: Option<Duration>) -> Self {
        Self::new(error, Outlook::Passing(after))
    }
}

impl From<Failure> for Box<Diagnostic> {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The fetch of one file.
pub(super) struct Fetch<'a> {
    pub(super) network: &'a Network,
    pub(super) cache: Option<&'a Cache>,
    pub(super) progress: Option<&'a dyn Progress>,
    pub(super) url: &'a str,
    pub(super) label: &'a str,
    /// The most bytes that it may have.
    pub(super) limit: u64,
}

impl<'a> Fetch<'a> {
    pub(super) fn new(opener: &'a Opener, url: &'a str, label: &'a str) -> Self {
        let Opener { network, cache, progress, .. } = opener;
        let (cache, progress) = (cache.as_ref(), progress.as_deref());
        Self { network, cache, progress, url, label, limit: network.size }
    }

    /// Asks for the file, if it is not what the validators are of, again if that may help.
    pub(super) fn get(&self, agent: &Agent, known: Option<&Validators>) -> Result<Got, Failure> {
        let network = self.network;
        let mut pause = network.pause;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(agent, known) {
                Ok(got) => return Ok(got),
                Err(failure) => failure,
            };
            match failure.outlook {
                Outlook::Passing(after) if attempt < network.attempts => {
                    thread::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE));
                }
                _ => return Err(failure),
            }
            attempt += 1;
            pause *= 2;
        }
    }

    fn attempt(&self, agent: &Agent, known: Option<&Validators>) -> Result<Got, Failure> {
        let until = Instant::now() + self.network.total;
        let mut address = Cow::Borrowed(self.url);
        for _ in 0..=self.network.redirects {
            self.check_reach(&address)?;
            let response = self.ask(agent, &address, known, until)?;
            match response.status() {
                StatusCode::OK => return self.receive(response),
                StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Got::Unchanged),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    address = Cow::Owned(self.redirected(&address, response.headers())?);
                }
                status => return Err(self.refused(status, response.headers())),
            }
        }
        Err(self.astray("it is redirected again and again", "check the address"))
    }

    /// Asks one server, and tells it who asks if it wants to know and may.
    fn ask(
        &self,
        agent: &Agent,
        address: &str,
        known: Option<&Validators>,
        until: Instant,
    ) -> Result<Response<Body>, Failure> {
        let may = may_be_told(address) && server_of(address) == server_of(self.url);
        let credentials = self.network.credentials.as_deref().filter(|_| may);
        let secret = |demanded| match credentials {
            Some(credentials) => {
                credentials.authorization(address, demanded).map_err(Failure::last)
            }
            None => Ok(None),
        };
        let send = |secret: Option<&str>| {
            let mut request = agent.get(address);
            if let Some(Validators { etag, last_modified }) = known {
                // With a tag, the time adds nothing.
                if let Some(etag) = etag {
                    request = request.header(header::IF_NONE_MATCH, etag);
                } else if let Some(time) = last_modified {
                    request = request.header(header::IF_MODIFIED_SINCE, time);
                }
            }
            if let Some(secret) = secret {
                request = request.header(header::AUTHORIZATION, secret);
            }
            let left = until.saturating_duration_since(Instant::now());
            let request = request.config().timeout_global(Some(left)).build();
            request.call().map_err(|error| self.failure(&error))
        };
        let told = secret(false)?;
        let response = send(told.as_deref())?;
        if response.status() != StatusCode::UNAUTHORIZED || told.is_some() {
            return Ok(response);
        }
        match secret(true)? {
            Some(secret) => send(Some(&secret)),
            None => Ok(response),
        }
    }

    /// Whether an address may be reached.
    fn check_reach(&self, address: &str) -> Result<(), Failure> {
        if self.network.hosts.allow_address(address) {
            return Ok(());
        }
        let host = host_of(address);
        let why = if address == self.url {
            format!("{host} is none of the hosts that may be reached")
        } else {
            format!("it is redirected to {host}, which is none of the hosts that may be reached")
        };
        Err(self.astray(&why, &format!("if that is meant, grant it: --allow fetch={host}")))
    }

    /// Where the server sends us on to.
    fn redirected(&self, from: &str, headers: &HeaderMap) -> Result<String, Failure> {
        let nowhere = |why: &str| self.astray(why, "check the address");
        let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let to = to.ok_or_else(|| nowhere("it is redirected, and not said where to"))?;
        let from =
            Uri::parse(from).map_err(|_| nowhere("it is redirected from no plain address"))?;
        let to = UriRef::parse(to).ok().and_then(|to| to.resolve_against(&from).ok());
        let to = to.ok_or_else(|| nowhere("it is redirected to what is no address"))?;
        let secure = from.scheme().as_str() == "https";
        let to = to.as_str().split('#').next().unwrap_or_default();
        match Place::parse(to) {
            Ok(Place::Url(to)) if secure && !to.starts_with("https:") => {
                Err(nowhere("it is redirected from https to an address without encryption"))
            }
            Ok(Place::Url(to)) => Ok(to),
            _ => Err(nowhere("it is redirected to an address that is not supported")),
        }
    }

    fn astray(&self, why: &str, help: &str) -> Failure {
        let message = format!("cannot fetch {}: {why}", self.label);
        Failure::last(failed("input::redirects", self.label, &message).help(help))
    }

    /// Puts the body into a file.
    fn receive(&self, response: Response<Body>) -> Result<Got, Failure> {
        let limit = self.limit;
        let kept = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            (value.len() <= VALIDATOR).then(|| value.to_owned())
        };
        let (etag, last_modified) = (kept(header::ETAG), kept(header::LAST_MODIFIED));
        let validators = Validators { etag, last_modified };
        let size = response.body().content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(Failure::last(too_large(self.label, limit)));
        }
        let mut file =
            Cache::scratch(self.cache).map_err(|error| Failure::last(no_room(&error)))?;
        let progress = Shown::new(self.progress, self.label, size);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 << 10];
        let mut received = 0;
        let (mut since, mut before) = (Instant::now(), 0);
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken_off(&error, received)),
            };
            received += count as u64;
            if received > limit {
                return Err(Failure::last(too_large(self.label, limit)));
            }
            file.write_all(&buffer[..count]).map_err(|error| Failure::last(no_room(&error)))?;
            progress.reached(received);
            // Who sends a byte now and then is as good as silent.
            let window = since.elapsed();
            if window >= self.network.silence {
                if u128::from(received - before) * 1000 < SLOWEST * window.as_millis() {
                    return Err(self.too_slow());
                }
                (since, before) = (Instant::now(), received);
            }
        }
        if size.is_some_and(|size| size != received) {
            return Err(self.broken_off(&ErrorKind::UnexpectedEof.into(), received));
        }
        file.rewind().map_err(|error| Failure::last(no_room(&error)))?;
        Ok(Got::Content { file, validators })
    }

    /// The server answered, but with something else.
    fn refused(&self, status: StatusCode, headers: &HeaderMap) -> Failure {
        let reason = status.canonical_reason().unwrap_or_default();
        let message = format!("{} answers {} {reason}", self.label, status.as_u16());
        let help = match status.as_u16() {
            401 | 403 => "fetch it yourself and give the file: it needs a permission",
            404 | 410 | 451 => "check the address",
            _ => "try again later, or fetch it yourself and give the file",
        };
        let credentials = self.network.credentials.as_deref().filter(|_| status.as_u16() == 401);
        let own = credentials.and_then(|credentials| credentials.help(self.url));
        let help = own.unwrap_or_else(|| help.to_owned());
        let error = failed("input::http-status", self.label, &message).help(help);
        if !(status.is_server_error() || matches!(status.as_u16(), 408 | 429)) {
            let missing = matches!(status.as_u16(), 404 | 410 | 451);
            return Failure { missing, ..Failure::last(error) };
        }
        let after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        Failure::passing(error, after)
    }

    /// The body ended before it was whole.
    fn broken_off(&self, error: &io::Error, received: u64) -> Failure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
        if let Some(inner @ ureq::Error::Timeout(_)) = inner {
            return self.failure(inner);
        }
        let message = format!("{} broke off after {received} bytes: {error}", self.label);
        Failure::passing(failed("input::unreachable", self.label, &message).help("try again"), None)
    }

    /// The answer takes too long. What else its server has is not waited for.
    fn too_slow(&self) -> Failure {
        let message = format!("cannot fetch {}: the server takes too long", self.label);
        let help = "try again later, or fetch it yourself and give the file";
        let error = failed("input::timeout", self.label, &message).help(help);
        Failure { unreachable: true, ..Failure::last(error) }
    }

    /// There was no answer.
    fn failure(&self, error: &ureq::Error) -> Failure {
        use ureq::{Error, Timeout};
        let failed = |code, why: &str, help: &str| {
            failed(code, self.label, &format!("cannot fetch {}: {why}", self.label)).help(help)
        };
        let unreachable = || {
            let mut why = error.to_string();
            let mut inner = error.source();
            while let Some(error) = inner {
                why += &format!(": {error}");
                inner = error.source();
            }
            let help = "check the address, the network and the proxy";
            failed("input::unreachable", &shown(&why), help)
        };
        match error {
            // A certificate that is not trusted, which comes as data that is not valid.
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Failure::last(unreachable())
            }
            Error::Io(_) | Error::ConnectionFailed | Error::Timeout(Timeout::Connect) => {
                Failure { unreachable: true, ..Failure::passing(unreachable(), None) }
            }
            Error::Timeout(_) => self.too_slow(),
            _ => Failure::last(unreachable()),
        }
    }
}

/// Whether a secret may go to an address: nobody on the way can read it.
fn may_be_told(address: &str) -> bool {
    let host = host_of(address);
    let here = ["localhost", "127.0.0.1", "::1"].contains(&host);
    address.starts_with("https://") || here
}

/// The server of an address: scheme, name and port.
fn server_of(address: &str) -> String {
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..].find(['/', '?', '#']).map_or(address.len(), |at| start + at);
    address[..end].to_ascii_lowercase()
}

/// A client; it keeps its connections for further files.
pub(super) fn agent(network: &Network) -> Agent {
    // Roots as the system has them, so that a company's own are known; SSL_CERT_FILE is heeded.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(network.connect))
        .timeout_recv_response(Some(network.silence))
        .timeout_per_read(Some(network.silence))
        .user_agent(concat!("x2nix/", env!("CARGO_PKG_VERSION")))
        .accept("*/*")
        .max_idle_connections(WORKERS)
        .max_idle_connections_per_host(WORKERS)
        // The archive as it is: its hash is that of the file, not of what is in it.
        .accept_encoding("identity")
        .tls_config(tls);
    let config = if network.proxies { config } else { config.proxy(None) };
    Agent::with_parts(config.build(), DefaultConnector::default(), Remembering::default())
}

/// Looks the address of a server up once, and not for each of hundreds of files.
#[derive(Debug, Default)]
struct Remembering {
    /// By host and port.
    known: Mutex<BTreeMap<String, Vec<SocketAddr>>>,
    resolver: DefaultResolver,
}

impl Resolver for Remembering {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let secure = uri.scheme_str() == Some("https");
        let server = format!("{secure} {}", uri.authority().map_or("", |it| it.as_str()));
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(addresses) = known().get(&server) {
            let mut all = self.empty();
            for address in addresses {
                all.push(*address);
            }
            return Ok(all);
        }
        let found = self.resolver.resolve(uri, config, timeout)?;
        known().insert(server, found.to_vec());
        Ok(found)
    }
}

fn no_room(error: &io::Error) -> Diagnostic {
    Diagnostic::error("input::unreadable", format!("cannot keep what is fetched: {error}"))
        .access()
        .help("check that the folder for temporary files has room")
}

/// A fetch that is shown, until it goes out of scope.
pub(super) struct Shown<'a>(Option<&'a dyn Progress>);

impl<'a> Shown<'a> {
    pub(super) fn new(progress: Option<&'a dyn Progress>, label: &str, size: Option<u64>) -> Self {
        if let Some(progress) = progress {
            progress.begins(label, size);
        }
        Self(progress)
    }

    pub(super) fn reached(&self, bytes: u64) {
        if let Some(progress) = self.0 {
            progress.reached(bytes);
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.0 {
            progress.ends();
        }
    }
}
