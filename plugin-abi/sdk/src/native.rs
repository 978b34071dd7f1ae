//! The C interface, from the plugin's side. [`export!`](crate::export) calls these.

#![allow(unsafe_code, clippy::missing_safety_doc)] // the C border; the contracts are those of `abi`

use crate::abi::{X2NIX_ANSWER, X2NIX_BROKEN, X2NIX_REFUSED, X2nixBuffer, X2nixHost};
use crate::{
    Plugin,
    message::{HostLine, Reply, Server},
};
use std::{
    any::Any,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
    sync::Arc,
};

/// See [`X2nixPluginBegin`](crate::abi::X2nixPluginBegin).
pub unsafe fn begin(plugin: fn() -> Arc<dyn Plugin>, host: *const X2nixHost) -> *mut c_void {
    // SAFETY: the host gives a valid pointer, and what it points to outlives the conversation.
    let back = Back(unsafe { *host });
    match catch_unwind(|| Server::new(plugin(), Arc::new(back))) {
        Ok(server) => Box::into_raw(Box::new(server)).cast(),
        Err(_) => ptr::null_mut(),
    }
}

/// See [`X2nixPluginCall`](crate::abi::X2nixPluginCall).
pub unsafe fn call(
    conversation: *mut c_void,
    method: (*const u8, usize),
    request: (*const u8, usize),
    answer: *mut X2nixBuffer,
) -> i32 {
    // SAFETY: `begin` made it of a `Server`, it has not ended, and one thread at a time uses it.
    let server = unsafe { &mut *conversation.cast::<Server>() };
    // SAFETY: the host's buffers are valid until this returns.
    let (method, request) = unsafe { (bytes(method.0, method.1), bytes(request.0, request.1)) };
    let method = String::from_utf8_lossy(method);
    // After a panic the host asks this conversation nothing more.
    let result = catch_unwind(AssertUnwindSafe(|| server.call(&method, request)));
    let (status, text) = match result {
        Ok(Ok(text)) => (X2NIX_ANSWER, text),
        Ok(Err(text)) => (X2NIX_REFUSED, text),
        Err(panic) => (X2NIX_BROKEN, panic_text(panic.as_ref()).into_bytes()),
    };
    // SAFETY: the host gives a place for the answer.
    unsafe { answer.write(buffer(text)) };
    status
}

/// See [`X2nixPluginFree`](crate::abi::X2nixPluginFree).
pub unsafe fn free(answer: X2nixBuffer) {
    // SAFETY: `buffer` made it of a boxed slice, and it is freed once.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(answer.data, answer.length)) });
}

/// See [`X2nixPluginEnd`](crate::abi::X2nixPluginEnd).
pub unsafe fn end(conversation: *mut c_void) {
    // SAFETY: `begin` made it of a box, and it ends once.
    let server = unsafe { Box::from_raw(conversation.cast::<Server>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(server)));
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("it does not say why"))
}

fn buffer(text: Vec<u8>) -> X2nixBuffer {
    let length = text.len();
    X2nixBuffer { data: Box::into_raw(text.into_boxed_slice()).cast(), length }
}

unsafe fn bytes<'b>(data: *const u8, length: usize) -> &'b [u8] {
    // SAFETY: the caller's contract; an empty buffer may point anywhere.
    if length == 0 { &[] } else { unsafe { slice::from_raw_parts(data, length) } }
}

/// The line to the host.
struct Back(X2nixHost);

// SAFETY: the pointer is the host's own; it is used while a call runs, from the thread of the call.
unsafe impl Send for Back {}
// SAFETY: as above.
unsafe impl Sync for Back {}

impl HostLine for Back {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let mut answer = X2nixBuffer { data: ptr::null_mut(), length: 0 };
        // SAFETY: the host is valid while the conversation is, and so are the texts until it returns.
        let (status, text) = unsafe {
            let status = (self.0.call)(
                self.0.context,
                method.as_ptr(),
                method.len(),
                request.as_ptr(),
                request.len(),
                &raw mut answer,
            );
            let text = bytes(answer.data, answer.length).to_vec();
            (self.0.free)(self.0.context, answer);
            (status, text)
        };
        if status == X2NIX_ANSWER { Ok(text) } else { Err(text) }
    }
}
