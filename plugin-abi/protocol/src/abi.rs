//! The C interface of a native plugin. The header `include/x2nix_plugin.h` of the plugin library is
//! made from this file.
//!
//! A plugin is a shared library with these symbols:
//!
//! - `x2nix_plugin_manifest`: the text of a `PluginManifest`, ended by a zero byte. It is read from the
//!   file, before any of its code runs.
//! - `x2nix_plugin_begin`, `x2nix_plugin_call`, `x2nix_plugin_free`, `x2nix_plugin_end`: see their types.
//!
//! All text is UTF-8. Nothing that is thrown may leave a function.

use std::ffi::c_void;

/// Bytes that their maker owns: whoever gets them gives them back to be freed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct X2nixBuffer {
    /// The first byte; anything where the length is 0.
    pub data: *mut u8,
    /// How many.
    pub length: usize,
}

/// What came of a call.
pub const X2NIX_ANSWER: i32 = 0;
/// The buffer holds a diagnostic.
pub const X2NIX_REFUSED: i32 = 1;
/// The callee broke down; the buffer holds plain text that says how, or nothing. The conversation is over.
pub const X2NIX_BROKEN: i32 = 2;

/// The host of one conversation, valid until it ends.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct X2nixHost {
    /// Handed to the functions.
    pub context: *mut c_void,
    /// Asks the host: `list`, `read`, `open`, `fetch`. The answer is given back to `free`. Only to be called
    /// while `x2nix_plugin_call` runs, from its thread.
    pub call: unsafe extern "C" fn(
        context: *mut c_void,
        method: *const u8,
        method_length: usize,
        request: *const u8,
        request_length: usize,
        answer: *mut X2nixBuffer,
    ) -> i32,
    /// Frees an answer.
    pub free: unsafe extern "C" fn(context: *mut c_void, answer: X2nixBuffer),
}

/// `x2nix_plugin_begin`: begins a conversation. The host is valid until it ends. What it returns is
/// handed to the other functions, by one thread at a time; null: it could not begin.
pub type X2nixPluginBegin = unsafe extern "C" fn(host: *const X2nixHost) -> *mut c_void;

/// `x2nix_plugin_call`: answers one message: `X2NIX_ANSWER`, `X2NIX_REFUSED` or `X2NIX_BROKEN`.
pub type X2nixPluginCall = unsafe extern "C" fn(
    conversation: *mut c_void,
    method: *const u8,
    method_length: usize,
    request: *const u8,
    request_length: usize,
    answer: *mut X2nixBuffer,
) -> i32;

/// `x2nix_plugin_free`: frees an answer of `x2nix_plugin_call`.
pub type X2nixPluginFree = unsafe extern "C" fn(conversation: *mut c_void, answer: X2nixBuffer);

/// `x2nix_plugin_end`: ends a conversation.
pub type X2nixPluginEnd = unsafe extern "C" fn(conversation: *mut c_void);
