//! A native library in this process. It runs with the user's rights, and nothing binds it; what it
//! throws is stopped on its own side of the border.

#![allow(unsafe_code)] // this is the C interface of `x2nix_protocol::abi`

use crate::error;
use libloading::{Library, Symbol};
use std::{ffi::c_void, path::Path, ptr, slice, sync::Arc};
use x2nix_plugin_host::carrier::Carrier;
use x2nix_protocol::{
    Diagnostic, PluginResult,
    abi::{
        X2NIX_ANSWER, X2NIX_REFUSED, X2nixBuffer, X2nixHost, X2nixPluginBegin, X2nixPluginCall,
        X2nixPluginEnd, X2nixPluginFree,
    },
    message::{HostLine, Line, Reply},
};

/// A library that is loaded.
pub(crate) struct Native {
    label: String,
    functions: Functions,
    /// The most bytes of an answer that are read.
    most: usize,
}

#[derive(Clone, Copy)]
struct Functions {
    begin: X2nixPluginBegin,
    call: X2nixPluginCall,
    free: X2nixPluginFree,
    end: X2nixPluginEnd,
}

impl Native {
    pub(crate) fn open(label: &str, path: &Path, most: usize) -> PluginResult<Self> {
        let label = label.to_owned();
        let functions = load(path).map_err(|error| {
            let message = format!("cannot load the plugin {label}: {error}");
            let help = "check that it was built for this kind of machine";
            Diagnostic::error("plugin::load", message).help(help).access()
        })?;
        Ok(Self { label, functions, most })
    }
}

fn load(path: &Path) -> Result<Functions, libloading::Error> {
    // Without a folder it would be looked for among the system's libraries.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // SAFETY: loading runs the library's initialisers. The user trusts this file by its hash.
    let library = unsafe { Library::new(path)? };
    // It is never unloaded: its threads' local values may be dropped at any later time.
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: that the symbols have these types is what the manifest's protocol says.
    unsafe {
        let begin: Symbol<'_, X2nixPluginBegin> = library.get(b"x2nix_plugin_begin\0")?;
        let call: Symbol<'_, X2nixPluginCall> = library.get(b"x2nix_plugin_call\0")?;
        let free: Symbol<'_, X2nixPluginFree> = library.get(b"x2nix_plugin_free\0")?;
        let end: Symbol<'_, X2nixPluginEnd> = library.get(b"x2nix_plugin_end\0")?;
        Ok(Functions { begin: *begin, call: *call, free: *free, end: *end })
    }
}

impl Carrier for Native {
    fn label(&self) -> &str {
        &self.label
    }

    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        let context = Box::into_raw(Box::new(back));
        let host = X2nixHost { context: context.cast(), call: host_call, free: host_free };
        let host = Box::into_raw(Box::new(host));
        // SAFETY: both live until the conversation is dropped.
        let handle = unsafe { (self.functions.begin)(host) };
        let line = Conversation {
            label: self.label.clone(),
            functions: self.functions,
            most: self.most,
            handle,
            host,
            context,
        };
        if handle.is_null() {
            return Err(error::broken(&self.label, "begin", "it cannot begin a conversation"));
        }
        Ok(Box::new(line))
    }
}

struct Conversation {
    label: String,
    functions: Functions,
    most: usize,
    handle: *mut c_void,
    host: *mut X2nixHost,
    context: *mut Arc<dyn HostLine>,
}

// SAFETY: a plugin's conversation is used by one thread at a time, and need not be by the same one.
unsafe impl Send for Conversation {}

impl Line for Conversation {
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply> {
        let mut answer = X2nixBuffer { data: ptr::null_mut(), length: 0 };
        // SAFETY: the conversation has begun and not ended; the texts live until this returns, and
        // the answer is the plugin's until it is freed.
        let (status, text) = unsafe {
            let status = (self.functions.call)(
                self.handle,
                method.as_ptr(),
                method.len(),
                request.as_ptr(),
                request.len(),
                &raw mut answer,
            );
            // One that is too large is not even looked at.
            let fits = answer.length <= self.most;
            let text = fits.then(|| bytes(answer.data, answer.length).to_vec());
            (self.functions.free)(self.handle, answer);
            (status, text)
        };
        let Some(text) = text else {
            return Err(error::too_long(&self.label, method, self.most));
        };
        match status {
            X2NIX_ANSWER => Ok(Ok(text)),
            X2NIX_REFUSED => Ok(Err(text)),
            _ if text.is_empty() => Err(error::broken(&self.label, method, "it broke down")),
            _ => Err(error::broken(&self.label, method, &String::from_utf8_lossy(&text))),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // SAFETY: `connect` made all three, and this is their end.
        unsafe {
            if !self.handle.is_null() {
                (self.functions.end)(self.handle);
            }
            drop(Box::from_raw(self.host));
            drop(Box::from_raw(self.context));
        }
    }
}

unsafe fn bytes<'b>(data: *const u8, length: usize) -> &'b [u8] {
    // SAFETY: the caller's contract; an empty buffer may point anywhere.
    if length == 0 || data.is_null() { &[] } else { unsafe { slice::from_raw_parts(data, length) } }
}

unsafe extern "C" fn host_call(
    context: *mut c_void,
    method: *const u8,
    method_length: usize,
    request: *const u8,
    request_length: usize,
    answer: *mut X2nixBuffer,
) -> i32 {
    // SAFETY: the context is that of `connect`; the plugin's texts live until this returns.
    let (back, method, request) = unsafe {
        (
            &*context.cast::<Arc<dyn HostLine>>(),
            bytes(method, method_length),
            bytes(request, request_length),
        )
    };
    let method = String::from_utf8_lossy(method);
    // A panic of x2nix must not cross the plugin's frames: leaving the function with it ends the program.
    let (status, text) = match back.call(&method, request) {
        Ok(text) => (X2NIX_ANSWER, text),
        Err(text) => (X2NIX_REFUSED, text),
    };
    let length = text.len();
    let data = Box::into_raw(text.into_boxed_slice()).cast();
    // SAFETY: the plugin gives a place for the answer.
    unsafe { answer.write(X2nixBuffer { data, length }) };
    status
}

unsafe extern "C" fn host_free(_: *mut c_void, answer: X2nixBuffer) {
    // SAFETY: `host_call` made it of a boxed slice, and it is freed once.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(answer.data, answer.length)) });
}
