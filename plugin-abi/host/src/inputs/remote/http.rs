//! Archives behind an address.

use super::{Network, Progress, failed, moved, offline, records::Record, too_large};
use crate::inputs::{
    OpenOptions, Opener, Place,
    archive::{Bytes, Found, Naming, Source},
    cache::Cache,
    path::shown,
};
use std::{
    error::Error as _,
    fs::File,
    io::{self, ErrorKind, Read, Seek as _, Write as _},
    thread,
    time::Duration,
};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, header},
    tls::{RootCerts, TlsConfig},
};
use x2nix_protocol::{Diagnostic, PluginResult};

/// The longest pause between two attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

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
        let fetch = Fetch { opener, url, label };
        // What is asked for only if it changed must be there if it did not.
        match fetch.get(known.is_some().then_some(&record))? {
            Got::Unchanged => known.ok_or_else(|| offline(label))?,
            Got::Content { file, etag, last_modified } => {
                let found = source.unpack(file)?;
                let content = Some(found.digest);
                let place = url.to_owned();
                Record { place, content, etag, last_modified, commit: None }.write(cache);
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
    match (Fetch { opener: &opener, url, label: url }).get(None)? {
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
        match (Fetch { opener, url, label }).get(None)? {
            Got::Content { file, .. } => Ok(file),
            Got::Unchanged => Err(offline(label)),
        }
    }
}

/// What a server answered.
enum Got {
    Unchanged,
    Content { file: File, etag: Option<String>, last_modified: Option<String> },
}

/// Why an attempt failed.
struct Failure {
    error: Box<Diagnostic>,
    outlook: Outlook,
}

/// Whether to try again.
enum Outlook {
    Lasting,
    /// It may pass, after this pause where the server says it.
    Passing(Option<Duration>),
}

impl Failure {
    fn last(error: impl Into<Box<Diagnostic>>) -> Self {
        Self { error: error.into(), outlook: Outlook::Lasting }
    }

    fn passing(error: impl Into<Box<Diagnostic>>, after: Option<Duration>) -> Self {
        Self { error: error.into(), outlook: Outlook::Passing(after) }
    }
}

struct Fetch<'a> {
    opener: &'a Opener,
    url: &'a str,
    label: &'a str,
}

impl Fetch<'_> {
    /// Asks for the archive, if it changed since the record was made, again if that may help.
    fn get(&self, record: Option<&Record>) -> PluginResult<Got> {
        let network = &self.opener.network;
        let agent = agent(network, self.url);
        let mut pause = network.pause;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(&agent, record) {
                Ok(got) => return Ok(got),
                Err(failure) => failure,
            };
            match failure.outlook {
                Outlook::Passing(after) if attempt < network.attempts => {
                    thread::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE));
                }
                _ => return Err(failure.error),
            }
            attempt += 1;
            pause *= 2;
        }
    }

    fn attempt(&self, agent: &Agent, record: Option<&Record>) -> Result<Got, Failure> {
        let mut request = agent.get(self.url);
        if let Some(record) = record {
            // With a tag, the time adds nothing.
            if let Some(etag) = &record.etag {
                request = request.header(header::IF_NONE_MATCH, etag);
            } else if let Some(time) = &record.last_modified {
                request = request.header(header::IF_MODIFIED_SINCE, time);
            }
        }
        let response = request.call().map_err(|error| self.failure(&error))?;
        match response.status() {
            StatusCode::OK => self.receive(response),
            StatusCode::NOT_MODIFIED if record.is_some() => Ok(Got::Unchanged),
            status => Err(self.refused(status, response.headers())),
        }
    }

    /// Puts the body into a file.
    fn receive(&self, response: Response<Body>) -> Result<Got, Failure> {
        let limit = self.opener.network.size;
        let kept = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            (value.len() <= VALIDATOR).then(|| value.to_owned())
        };
        let (etag, last_modified) = (kept(header::ETAG), kept(header::LAST_MODIFIED));
        let size = response.body().content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(Failure::last(too_large(self.label, limit)));
        }
        let mut file = Cache::scratch(self.opener.cache.as_ref())
            .map_err(|error| Failure::last(no_room(&error)))?;
        let progress = Shown::new(self.opener.progress.as_deref(), self.label, size);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 << 10];
        let mut received = 0;
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
        }
        if size.is_some_and(|size| size != received) {
            return Err(self.broken_off(&ErrorKind::UnexpectedEof.into(), received));
        }
        file.rewind().map_err(|error| Failure::last(no_room(&error)))?;
        Ok(Got::Content { file, etag, last_modified })
    }

    /// The server answered, but with something else.
    fn refused(&self, status: StatusCode, headers: &HeaderMap) -> Failure {
        let reason = status.canonical_reason().unwrap_or_default();
        let message = format!("{} answers {} {reason}", self.label, status.as_u16());
        let help = match status.as_u16() {
            401 | 403 => "fetch it yourself and give the file: it needs a permission",
            404 | 410 => "check the address",
            _ => "try again later, or fetch it yourself and give the file",
        };
        let error = failed("input::http-status", self.label, &message).help(help);
        if !(status.is_server_error() || matches!(status.as_u16(), 408 | 429)) {
            return Failure::last(error);
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
                Failure::passing(unreachable(), None)
            }
            Error::Timeout(_) => Failure::last(failed(
                "input::timeout",
                "the server takes too long",
                "try again later, or fetch it yourself and give the file",
            )),
            Error::TooManyRedirects => Failure::last(failed(
                "input::redirects",
                "it is redirected again and again",
                "check the address",
            )),
            Error::RequireHttpsOnly(_) => Failure::last(failed(
                "input::redirects",
                "it is redirected from https to an address without encryption",
                "check the address",
            )),
            _ => Failure::last(unreachable()),
        }
    }
}

fn agent(network: &Network, url: &str) -> Agent {
    // Roots as the system has them, so that a company's own are known; SSL_CERT_FILE is heeded.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(url.starts_with("https:"))
        .max_redirects(network.redirects)
        .timeout_connect(Some(network.connect))
        .timeout_recv_response(Some(network.silence))
        .timeout_per_read(Some(network.silence))
        .timeout_global(Some(network.total))
        .user_agent(concat!("x2nix/", env!("CARGO_PKG_VERSION")))
        .accept("*/*")
        // The archive as it is: its hash is that of the file, not of what is in it.
        .accept_encoding("identity")
        .tls_config(tls);
    let config = if network.proxies { config } else { config.proxy(None) };
    config.build().new_agent()
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
