//! Write a plugin for x2nix: implement [`Plugin`] and [`Session`], and
//! [`export!`] it.
//!
//! ```ignore
//! x2nix_plugin::export!(MyPlugin, include_str!("../plugin.json"));
//! ```
//!
//! A crate of type `cdylib` with that line is a plugin. Compiled for the machine it is a native
//! library with the C interface of [`abi`]; compiled for `wasm32-unknown-unknown` it is a
//! module that `x2nix plugin pack` makes a WebAssembly component of. `wasm32-wasip2` is for libraries that do
//! not compile without a system; nothing of one is there all the same. The text is that of its [`PluginManifest`].
//!
//! A panic in a native plugin is stopped at the border and told to the user. That needs unwinding: with
//! `panic = "abort"` in its profile a panic ends x2nix. A component traps in either case, and x2nix lives on.

#[cfg(not(target_arch = "wasm32"))]
pub mod native;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use x2nix_protocol::*;

/// Makes a plugin of a crate: its value, an expression that may use nothing, and the text of its manifest.
#[macro_export]
macro_rules! export {
    ($plugin:expr, $manifest:expr $(,)?) => {
        mod x2nix_plugin_exports {
            #[allow(unused_imports)]
            use super::*;

            const MANIFEST: &str = $manifest;

            fn plugin() -> ::std::sync::Arc<dyn $crate::Plugin> {
                ::std::sync::Arc::new($plugin)
            }

            #[cfg(not(target_arch = "wasm32"))]
            mod native {
                use ::std::ffi::c_void;
                use $crate::abi::{X2nixBuffer, X2nixHost};

                #[used]
                #[unsafe(no_mangle)]
                #[allow(non_upper_case_globals)]
                static x2nix_plugin_manifest: [u8; super::MANIFEST.len() + 1] =
                    $crate::text_of(super::MANIFEST);

                #[unsafe(no_mangle)]
                unsafe extern "C" fn x2nix_plugin_begin(host: *const X2nixHost) -> *mut c_void {
                    unsafe { $crate::native::begin(super::plugin, host) }
                }

                #[unsafe(no_mangle)]
                unsafe extern "C" fn x2nix_plugin_call(
                    conversation: *mut c_void,
                    method: *const u8,
                    method_length: usize,
                    request: *const u8,
                    request_length: usize,
                    answer: *mut X2nixBuffer,
                ) -> i32 {
                    let method = (method, method_length);
                    let request = (request, request_length);
                    unsafe { $crate::native::call(conversation, method, request, answer) }
                }

                #[unsafe(no_mangle)]
                unsafe extern "C" fn x2nix_plugin_free(_: *mut c_void, answer: X2nixBuffer) {
                    unsafe { $crate::native::free(answer) }
                }

                #[unsafe(no_mangle)]
                unsafe extern "C" fn x2nix_plugin_end(conversation: *mut c_void) {
                    unsafe { $crate::native::end(conversation) }
                }
            }

            #[cfg(target_arch = "wasm32")]
            mod wasm {
                #[used]
                #[unsafe(link_section = "x2nix-plugin")]
                static MANIFEST: [u8; super::MANIFEST.len()] = $crate::text_of(super::MANIFEST);

                #[unsafe(export_name = "x2nix:plugin/guest@1.0.0#call")]
                unsafe extern "C" fn call(
                    method: *mut u8,
                    method_length: usize,
                    request: *mut u8,
                    request_length: usize,
                ) -> *mut $crate::wasm::Answer {
                    let method = (method, method_length);
                    let request = (request, request_length);
                    unsafe { $crate::wasm::call(super::plugin, method, request) }
                }

                #[unsafe(export_name = "cabi_post_x2nix:plugin/guest@1.0.0#call")]
                unsafe extern "C" fn called(answer: *mut $crate::wasm::Answer) {
                    unsafe { $crate::wasm::free(answer) }
                }

                #[unsafe(no_mangle)]
                unsafe extern "C" fn cabi_realloc(
                    old: *mut u8,
                    old_length: usize,
                    align: usize,
                    length: usize,
                ) -> *mut u8 {
                    unsafe { $crate::wasm::realloc(old, old_length, align, length) }
                }
            }
        }
    };
}

/// The bytes of a text, and zeroes after them.
#[doc(hidden)]
pub const fn text_of<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}
