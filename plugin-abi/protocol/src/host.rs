//! What a plugin may ask of the world: read-only trees, named by number, and files that are elsewhere.

use crate::{Diagnostic, Hosts, PluginResult};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The number of a tree that the host offers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct TreeId(pub u32);

/// The services that a plugin gets.
///
/// Paths are relative to a tree's top, with `/` between parts, no `.` or `..` part, and the empty
/// path for the top itself. A folder lists in byte order.
pub trait Host: Send + Sync {
    /// Lists folders.
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer>;

    /// Reads files.
    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer>;

    /// Opens a place that the plugin learnt of from the project, such as the source of a package
    /// that it pins. The same place is opened once.
    fn open(&self, request: &OpenTreeRequest) -> PluginResult<OpenedTree> {
        self.open_within(request, &Hosts::Any)
    }

    /// Fetches files, all of them at once.
    fn fetch(&self, request: &FetchRequest) -> PluginResult<FetchAnswer> {
        self.fetch_within(request, &Hosts::Any)
    }

    /// What the user has said for all projects. It is no input, and the lock does not name it. Only a plugin
    /// that is linked in is told any of it.
    fn user(&self, request: &UserRequest) -> PluginResult<UserAnswer> {
        let _ = request;
        Ok(UserAnswer::default())
    }

    /// Whether nobody waits for the answer any more: what works for the request may stop. No plugin asks this.
    fn cancelled(&self) -> bool {
        false
    }

    /// [`Host::open`] that reaches no other hosts than these, wherever it is led.
    fn open_within(&self, request: &OpenTreeRequest, hosts: &Hosts) -> PluginResult<OpenedTree> {
        let _ = (request, hosts);
        Err(Box::new(Diagnostic::not_supported("opening further inputs")))
    }

    /// [`Host::fetch`] that reaches no other hosts than these, wherever it is led.
    fn fetch_within(&self, request: &FetchRequest, hosts: &Hosts) -> PluginResult<FetchAnswer> {
        let _ = (request, hosts);
        Err(Box::new(Diagnostic::not_supported("fetching files")))
    }
}

/// Asks for what the user has said for all projects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserRequest {
    /// Files to look for in each of the folders around the project: of these, the first that is there.
    pub around: Vec<String>,
    /// A folder of the user's: the variable that names it, and what it is called in the user's home if none does.
    pub home: (String, String),
    /// Files to look for there: of these, the first that is there.
    pub files: Vec<String>,
    /// Environment variables, by name; a `*` stands for any text.
    pub environment: Vec<String>,
}

/// The answer to [`UserRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserAnswer {
    /// The files that are there: absolute path and content. What is nearer to the project comes first, the
    /// user's own folder last.
    pub files: Vec<(String, Vec<u8>)>,
    /// The variables that are set.
    pub environment: BTreeMap<String, String>,
}

/// Asks for files that are elsewhere, such as the parts of an index. What is fetched is kept in the
/// user's cache; within one conversation the same question has the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FetchRequest {
    /// The files, many at once: they are fetched side by side.
    pub files: Vec<FetchFile>,
}

/// One file that is to be fetched.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
pub struct FetchFile {
    /// Its address: `https://…` or `http://…`.
    pub url: String,
    /// The hash that it has to have, in SRI form: `sha256-…`, `sha512-…`, `sha1-…` or `md5-…`. With it, a
    /// file that was fetched once is not asked for again; without it, the server is asked whether it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The most bytes that it may have; unset: what the host thinks fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// The answer to [`FetchRequest`]: one result per file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FetchAnswer {
    /// The results, in the order of the request.
    pub files: Vec<Fetched>,
}

/// What fetching a file gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fetched {
    /// It is there.
    Found {
        /// Its bytes.
        content: Blob,
        /// Their hash: `sha256-…`.
        hash: String,
    },
    /// The server says that there is no such file.
    Missing,
    /// It cannot be had, and why. A plugin that cannot go on without it answers with this error.
    Failed(Box<Diagnostic>),
}

/// Asks for a tree beside the inputs of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenTreeRequest {
    /// Where it is, as `--repo` takes it: a path below the project or relative to it, the address of an
    /// archive, `git+URL#REVISION`.
    pub place: String,
}

/// The answer to [`OpenTreeRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedTree {
    /// The tree.
    pub tree: TreeId,
    /// Where it was found, as the lock is to say it: of a Git revision, with its commit.
    pub location: String,
    /// The hash of its content; of an archive, of the archive's own bytes.
    pub hash: String,
}

/// Asks for the entries of folders of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRequest {
    /// The tree.
    pub tree: TreeId,
    /// The folders.
    pub folders: Vec<String>,
    /// Only entries with this text in their names are wanted; empty for all. A plugin that has use for a few of
    /// many entries need not be sent the rest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub containing: String,
}

impl ListRequest {
    /// Asks for all entries of folders.
    pub const fn new(tree: TreeId, folders: Vec<String>) -> Self {
        Self { tree, folders, containing: String::new() }
    }

    /// Whether an entry with this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.containing.is_empty() || name.contains(&self.containing)
    }
}

/// The answer to [`ListRequest`]: one listing per folder, `None` where there is no such folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListAnswer {
    /// The listings, in the order of the request.
    pub listings: Vec<Option<Vec<Entry>>>,
}

/// One entry of a folder.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Entry {
    /// Its name, without a folder.
    pub name: String,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub folder: bool,
}

/// Asks for the contents of files of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadRequest {
    /// The tree.
    pub tree: TreeId,
    /// The files.
    pub paths: Vec<String>,
}

/// The answer to [`ReadRequest`]: one content per path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadAnswer {
    /// The contents, in the order of the request.
    pub files: Vec<FileContent>,
}

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// Its bytes.
    Found(Blob),
    /// There is no such file.
    Missing,
    /// It is there, but cannot be read: too large, or not permitted.
    Unreadable(String),
}

/// Bytes. As JSON, text where they are UTF-8 without U+0000 (which Nix does not read in JSON), and
/// `{"base64": …}` where not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// The bytes as JSON has them as a text, if it does.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().filter(|text| !text.contains('\0'))
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(text),
            None => BTreeMap::from([("base64", BASE64.encode(&self.0))]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an untagged enumeration: that would read each file twice.
        deserializer.deserialize_any(BlobVisitor)
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or bytes in base 64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
        Ok(Blob(text.as_bytes().to_vec()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Blob, E> {
        Ok(Blob(text.into_bytes()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Blob, A::Error> {
        #[derive(Deserialize)]
        struct Base64 {
            base64: String,
        }
        let Base64 { base64 } = Base64::deserialize(MapAccessDeserializer::new(map))?;
        BASE64.decode(base64).map(Blob).map_err(de::Error::custom)
    }
}

impl JsonSchema for Blob {
    fn schema_name() -> Cow<'static, str> {
        "Blob".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Bytes: text where they are UTF-8, base64 where not.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "base64": { "type": "string" } },
                    "required": ["base64"]
                },
                {
                    "description": "Only in an answer to `read` that was asked for `following`: so many bytes of what comes behind the document and a zero byte, in the order of the document.",
                    "type": "object",
                    "properties": { "following": { "type": "integer", "minimum": 0 } },
                    "required": ["following"]
                }
            ]
        })
    }
}
