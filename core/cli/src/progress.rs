//! How a fetch is shown: a bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use x2nix_plugin_host::inputs::Progress;

/// Shows one fetch after the other.
#[derive(Debug, Default)]
pub(crate) struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn replace(&self, bar: Option<ProgressBar>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *shown, bar) {
            old.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn begins(&self, what: &str, size: Option<u64>) {
        // Both kinds are hidden where standard error is no terminal.
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{bar:40} {bytes}/{total_bytes} {msg} {eta}"),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.replace(Some(bar));
    }

    fn reached(&self, bytes: u64) {
        if let Some(bar) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.set_position(bytes);
        }
    }

    fn ends(&self) {
        self.replace(None);
    }
}
