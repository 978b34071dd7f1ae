//! What is said, as a library for C.

/// Writes the greeting into `room` bytes, without a zero at its end, and says how long it is. Where it is longer
/// than that, nothing is written.
///
/// # Safety
///
/// There are `room` bytes at `into`, and nobody else uses them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn salute_text(into: *mut u8, room: usize) -> usize {
    let text = greeting::text();
    if text.len() <= room {
        // Safety: the caller promises that these bytes are there.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), into, text.len()) };
    }
    text.len()
}
