//! Makes a plugin's file of what a compiler gives.

use crate::error::bad;
use wasmparser::Parser;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;
use x2nix_protocol::{MANIFEST_SECTION, PluginManifest, PluginResult};

/// The world of a plugin, in the interface language of components.
pub const WIT: &str = include_str!("../../wit/plugin.wit");

/// Makes a component of a module that has the interface of [`WIT`]; a component stays what it is.
/// Either gets the manifest, if there is one.
pub fn pack(label: &str, content: &[u8], manifest: Option<&[u8]>) -> PluginResult<Vec<u8>> {
    let mut packed = if Parser::is_core_wasm(content) {
        component(content).map_err(|error| bad(label, &format!("{error:#}")))?
    } else if Parser::is_component(content) {
        content.to_vec()
    } else {
        return Err(bad(label, "it is no WebAssembly"));
    };
    if let Some(manifest) = manifest {
        let read: PluginManifest = serde_json::from_slice(manifest)
            .map_err(|error| bad(label, &format!("its manifest cannot be read: {error}")))?;
        let text = serde_json::to_vec(&read).unwrap_or_else(|_| manifest.to_vec());
        append_section(&mut packed, &text);
    }
    Ok(packed)
}

fn component(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("plugin"))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}

/// Appends a custom section.
fn append_section(file: &mut Vec<u8>, text: &[u8]) {
    let mut body = Vec::new();
    number(&mut body, MANIFEST_SECTION.len());
    body.extend(MANIFEST_SECTION.as_bytes());
    body.extend(text);
    file.push(0);
    number(file, body.len());
    file.extend(body);
}

/// A number in the variable length of WebAssembly.
fn number(file: &mut Vec<u8>, mut number: usize) {
    loop {
        #[allow(clippy::cast_possible_truncation)] // seven bits
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return file.push(low);
        }
        file.push(low | 0x80);
    }
}
