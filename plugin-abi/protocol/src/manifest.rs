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
    /// Hosts that the host may fetch from for it: `example.org`; `*.example.org` for all below.
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

/// The symbol of a native library that holds its manifest.
pub const MANIFEST_SYMBOL: &str = "x2nix_plugin_manifest";

/// The custom section of a WebAssembly file that holds its manifest.
pub const MANIFEST_SECTION: &str = "x2nix-plugin";
