//! What a plugin's file says of itself, readable without running it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The manifest of a plugin's file. In a native library it is the text of the symbol
/// `x2nix_plugin_manifest`, in a WebAssembly component the custom section `x2nix-plugin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginManifest {
    /// The protocol that it speaks; see [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol: u32,
    /// The ecosystem that it is for, as its [`Describe`](crate::Describe) says.
    pub ecosystem: String,
    /// Its own version, as its [`Describe`](crate::Describe) says.
    pub version: String,
    /// What it asks to be allowed. It works on the inputs of a request without asking.
    #[serde(default, skip_serializing_if = "Capabilities::is_none")]
    pub asks: Capabilities,
}

/// What a plugin may do beside reading the inputs of a request. A manifest asks, the user grants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Folders outside of the project that it may open, by absolute path; all below is meant too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Hosts that the host may fetch from for it: `example.org`; `*.example.org` for all below;
    /// `@configured` for those of the addresses in the repositories, variables and options that the user
    /// gave; `*` for those that the user grants, whichever they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<String>,
    /// Environment variables whose values it gets, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// How many bytes may be kept for it in the cache; unset: what the host thinks fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<u64>,
}

impl Capabilities {
    /// Whether it is nothing at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// In [`Capabilities::fetch`]: the hosts that the user's own configuration names.
pub const CONFIGURED_HOSTS: &str = "@configured";

/// In [`Capabilities::fetch`]: the hosts that the user grants, whichever they are; in a grant, all hosts.
pub const ANY_HOSTS: &str = "*";

/// Which hosts may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hosts {
    /// All: nothing is confined.
    #[default]
    Any,
    /// These, as [`Capabilities::fetch`] names them.
    Only(Vec<String>),
}

impl Hosts {
    /// Whether a host is among them.
    pub fn allow(&self, host: &str) -> bool {
        let Self::Only(patterns) = self else { return true };
        let host = host.to_ascii_lowercase();
        patterns.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            pattern == host
                || pattern == ANY_HOSTS
                || pattern.strip_prefix('*').is_some_and(|end| {
                    end.starts_with('.') && host.len() > end.len() && host.ends_with(end)
                })
        })
    }

    /// Whether the host of an address is among them.
    pub fn allow_address(&self, address: &str) -> bool {
        self.allow(host_of(address))
    }
}

/// The host part of an address; empty where it has none.
pub fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// The symbol of a native library that holds its manifest.
pub const MANIFEST_SYMBOL: &str = "x2nix_plugin_manifest";

/// The custom section of a WebAssembly file that holds its manifest.
pub const MANIFEST_SECTION: &str = "x2nix-plugin";
