//! The canonical interface of the world `x2nix:plugin/plugin`, from the plugin's side.
//! [`export!`](crate::export) calls these. One instance is one conversation.

#![allow(unsafe_code, clippy::missing_safety_doc)] // the border of the component

use crate::{
    Plugin,
    message::{HostLine, Reply, Server},
};
use std::{
    alloc::{self, Layout},
    cell::RefCell,
    panic, ptr,
    sync::Arc,
};

/// `result<string, string>` in memory.
#[repr(C)]
pub struct Answer {
    refused: u8,
    data: *mut u8,
    length: usize,
}

#[link(wasm_import_module = "x2nix:plugin/host@1.0.0")]
unsafe extern "C" {
    #[link_name = "call"]
    fn host_call(
        method: *const u8,
        method_length: usize,
        request: *const u8,
        request_length: usize,
        answer: *mut Answer,
    );
}

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// The exported function.
pub unsafe fn call(
    plugin: fn() -> Arc<dyn Plugin>,
    method: (*mut u8, usize),
    request: (*mut u8, usize),
) -> *mut Answer {
    // SAFETY: the host made both with `realloc`, and hands them over.
    let (method, request) = unsafe { (taken(method.0, method.1), taken(request.0, request.1)) };
    let method = String::from_utf8_lossy(&method);
    let reply = SERVER.with_borrow_mut(|server| {
        let server = server.get_or_insert_with(|| {
            tell_panics();
            Server::new(plugin(), Arc::new(Back))
        });
        server.call(&method, &request)
    });
    let (refused, text) = match reply {
        Ok(text) => (0, text),
        Err(text) => (1, text),
    };
    let length = text.len();
    let data = Box::into_raw(text.into_boxed_slice()).cast();
    Box::into_raw(Box::new(Answer { refused, data, length }))
}

/// Frees an answer of [`call`].
pub unsafe fn free(answer: *mut Answer) {
    // SAFETY: `call` made it, and it is freed once.
    unsafe {
        let answer = Box::from_raw(answer);
        drop(taken(answer.data, answer.length));
    }
}

/// Memory for what the host brings in.
pub unsafe fn realloc(old: *mut u8, old_length: usize, align: usize, length: usize) -> *mut u8 {
    // SAFETY: the canonical interface gives valid layouts, and what this gave before.
    let new = unsafe {
        match (old_length, length) {
            (_, 0) => return ptr::without_provenance_mut(align),
            (0, _) => alloc::alloc(Layout::from_size_align_unchecked(length, align)),
            (_, _) => {
                alloc::realloc(old, Layout::from_size_align_unchecked(old_length, align), length)
            }
        }
    };
    assert!(!new.is_null(), "out of memory");
    new
}

/// What [`realloc`] or a boxed slice gave, as its owner.
unsafe fn taken(data: *mut u8, length: usize) -> Vec<u8> {
    // SAFETY: the caller's contract; both have an alignment of 1 and no spare capacity.
    if length == 0 { Vec::new() } else { unsafe { Vec::from_raw_parts(data, length, length) } }
}

/// A trap has no words, so a panic tells the host its own before.
fn tell_panics() {
    panic::set_hook(Box::new(|panic| {
        let text = serde_json::to_vec(&panic.to_string()).unwrap_or_default();
        let _ = Back.call("panic", &text);
    }));
}

/// The line to the host.
struct Back;

impl HostLine for Back {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let mut answer = Answer { refused: 1, data: ptr::null_mut(), length: 0 };
        // SAFETY: the texts are valid until it returns; the answer is made with `realloc`.
        let text = unsafe {
            host_call(
                method.as_ptr(),
                method.len(),
                request.as_ptr(),
                request.len(),
                &raw mut answer,
            );
            taken(answer.data, answer.length)
        };
        if answer.refused == 0 { Ok(text) } else { Err(text) }
    }
}
