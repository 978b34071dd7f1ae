//! A WebAssembly component. Each conversation is an instance of its own, so that none learns of
//! another; it gets the two functions of its world and nothing else: no files, no network, no clock,
//! no randomness. What else a component imports traps when it is used, but for the seed of hash tables, which
//! the standard library of Rust asks for: it is the same for all.
//!
//! Compiling takes a second for a large plugin, so the machine code is kept in the cache, under the
//! hash of the file and of all that the code depends on: wasmtime's version, its settings, the kind of
//! processor.

use crate::{Limits, Loader, PluginFile, error, known::is_own};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    fs,
    hash::{Hash as _, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use wasmtime::{
    Config, Engine, ResourceLimiter, Store, StoreContextMut, Trap, UpdateDeadline,
    component::{InstancePre, Linker, TypedFunc},
};
use x2nix_plugin_host::{carrier::Carrier, kept::write_atomically};
use x2nix_protocol::{
    Diagnostic, PluginResult,
    message::{HostLine, Line, Reply},
};

/// The interface that a plugin exports.
const GUEST: &str = "x2nix:plugin/guest@1.0.0";
/// The interface that it imports.
const HOST: &str = "x2nix:plugin/host@1.0.0";
/// Of the interface of a system, the one function that is there; it has a version behind it.
const SEED: &str = "wasi:random/insecure-seed@";
/// How often the time limit is looked at.
const TICK: Duration = Duration::from_millis(20);

type Answer = (Result<String, String>,);

/// A component that is compiled.
pub(crate) struct Component {
    label: String,
    engine: Engine,
    instance: InstancePre<Guest>,
    limits: Limits,
}

/// What was done to get at the machine code of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiled {
    /// It was in the cache.
    Found,
    /// It was compiled, and kept.
    Kept,
    /// It was compiled; the cache cannot be written.
    NotKept,
}

impl Component {
    pub(crate) fn new(file: &PluginFile, loader: &Loader) -> PluginResult<Self> {
        let label = file.label.clone();
        let failed = |error: wasmtime::Error| error::bad(&label, &format!("{error:#}"));
        let engine = engine().map_err(failed)?;
        let (component, _) = compiled(&engine, file, loader.cache.as_deref()).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_traps(&component)
            .and_then(|()| {
                linker.allow_shadowing(true);
                linker.instance(HOST)?.func_wrap("call", Guest::ask)?;
                for (name, _) in component.component_type().imports(&engine) {
                    if name.starts_with(SEED) {
                        let seed = |_: StoreContextMut<'_, Guest>, ()| Ok(((0_u64, 0_u64),));
                        linker.instance(name)?.func_wrap("insecure-seed", seed)?;
                    }
                }
                Ok(())
            })
            .map_err(failed)?;
        let instance = linker.instantiate_pre(&component).map_err(failed)?;
        let weak = engine.weak();
        // Ends when the plugin goes.
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                match weak.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        });
        Ok(Self { label: label.clone(), engine, instance, limits: loader.limits })
    }
}

impl Loader {
    /// Compiles a component ahead of its use.
    pub fn precompile(&self, file: &PluginFile) -> PluginResult<Compiled> {
        let failed = |error: wasmtime::Error| error::bad(&file.label, &format!("{error:#}"));
        let engine = engine().map_err(failed)?;
        Ok(compiled(&engine, file, self.cache.as_deref()).map_err(failed)?.1)
    }
}

fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // The same bits on every machine.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    config.wasm_backtrace_max_frames(None);
    Engine::new(&config)
}

/// The machine code of a component, from the cache where it is there.
fn compiled(
    engine: &Engine,
    file: &PluginFile,
    cache: Option<&Path>,
) -> wasmtime::Result<(wasmtime::component::Component, Compiled)> {
    let kept = cache.map(|cache| cache_file(engine, file, cache));
    if let Some(component) = kept.as_deref().and_then(|kept| load(engine, kept)) {
        return Ok((component, Compiled::Found));
    }
    let component = wasmtime::component::Component::from_binary(engine, &file.content()?)?;
    let keep = |kept: &Path| {
        let folder = kept.parent()?;
        fs::create_dir_all(folder).ok()?;
        write_atomically(kept, &component.serialize().ok()?).ok()
    };
    // A home that cannot be written costs time, nothing else.
    let done = kept.as_deref().and_then(keep).map_or(Compiled::NotKept, |()| Compiled::Kept);
    Ok((component, done))
}

fn cache_file(engine: &Engine, file: &PluginFile, cache: &Path) -> PathBuf {
    struct Digesting(Sha256);
    impl Hasher for Digesting {
        fn finish(&self) -> u64 {
            0 // never asked for
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Digesting(Sha256::new());
    file.hash.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let name = URL_SAFE_NO_PAD.encode(hasher.0.finalize());
    cache.join("plugins").join(format!("{name}.cwasm"))
}

/// Loads machine code that [`compiled`] kept.
#[allow(unsafe_code)] // see below
fn load(engine: &Engine, kept: &Path) -> Option<wasmtime::component::Component> {
    if !is_own(&fs::metadata(kept).ok()?) {
        return None;
    }
    // SAFETY: this is machine code, and is run as it is, like the program itself. Only the user may
    // have written the file (see above), and it got its name when it was whole.
    unsafe { wasmtime::component::Component::deserialize_file(engine, kept) }.ok()
}

impl Carrier for Component {
    fn label(&self) -> &str {
        &self.label
    }

    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        let failed = |error: wasmtime::Error| error::bad(&self.label, &format!("{error:#}"));
        let guest = Guest {
            back,
            limits: self.limits,
            memory: 0,
            started: Instant::now(),
            waited: Duration::ZERO,
            questions: 0,
            stopped: None,
            panic: None,
        };
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.message);
        store.set_epoch_deadline(1);
        // At each tick, since somebody may have cancelled the request.
        store.epoch_deadline_callback(|store| {
            let guest = store.data();
            let worked = guest.started.elapsed().saturating_sub(guest.waited);
            if guest.back.cancelled() || worked > guest.limits.time {
                return Err(Trap::Interrupt.into());
            }
            Ok(UpdateDeadline::Continue(1))
        });
        let instance = match self.instance.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(told(&self.label, "start", store.data_mut(), &error)),
        };
        let missing = || wasmtime::format_err!("it does not export the interface {GUEST}");
        let guest = instance.get_export_index(&mut store, None, GUEST);
        let function = guest
            .and_then(|guest| instance.get_export_index(&mut store, Some(&guest), "call"))
            .ok_or_else(missing)
            .map_err(failed)?;
        let call = instance.get_typed_func(&mut store, function).map_err(failed)?;
        Ok(Box::new(Conversation { label: self.label.clone(), store, call }))
    }
}

/// What the host knows of an instance.
struct Guest {
    back: Arc<dyn HostLine>,
    limits: Limits,
    /// Bytes that it has.
    memory: u64,
    /// When the call began.
    started: Instant,
    /// How long it waited for its host.
    waited: Duration,
    /// How many questions it asked.
    questions: u32,
    /// The limit that it met.
    stopped: Option<String>,
    /// What it said before it trapped.
    panic: Option<String>,
}

impl Guest {
    /// The function that plugins import.
    fn ask(
        mut store: StoreContextMut<'_, Self>,
        (method, request): (String, String),
    ) -> wasmtime::Result<Answer> {
        let guest = store.data_mut();
        if method == "panic" {
            guest.panic = serde_json::from_str(&request).ok();
            return Ok((Ok(String::new()),));
        }
        guest.questions += 1;
        if guest.questions > guest.limits.questions {
            let what = format!("it asked its host more than {} times", guest.limits.questions);
            guest.stopped = Some(what);
            return Err(Trap::Interrupt.into());
        }
        let asked = Instant::now();
        let reply = guest.back.call(&method, request.as_bytes());
        guest.waited += asked.elapsed();
        // The host's documents are UTF-8.
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(wasmtime::Error::from);
        Ok((match reply {
            Ok(bytes) => Ok(text(bytes)?),
            Err(bytes) => Err(text(bytes)?),
        },))
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A component may have several memories.
        let all = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        if all <= self.limits.memory {
            self.memory = all;
            return Ok(true);
        }
        let limit = self.limits.memory >> 20;
        self.stopped = Some(format!("it needs more memory than the {limit} MiB that it may use"));
        Ok(false)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired < 1 << 20)
    }
}

struct Conversation {
    label: String,
    store: Store<Guest>,
    call: TypedFunc<(String, String), Answer>,
}

impl Line for Conversation {
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply> {
        let guest = self.store.data_mut();
        guest.started = Instant::now();
        guest.waited = Duration::ZERO;
        guest.questions = 0;
        guest.stopped = None;
        self.store.set_epoch_deadline(1);
        let request = String::from_utf8_lossy(request).into_owned();
        match self.call.call(&mut self.store, (method.to_owned(), request)) {
            Ok((Ok(text),)) => Ok(Ok(text.into_bytes())),
            Ok((Err(text),)) => Ok(Err(text.into_bytes())),
            Err(error) => Err(told(&self.label, method, self.store.data_mut(), &error)),
        }
    }
}

/// An error of wasmtime in the user's words.
fn told(label: &str, method: &str, guest: &mut Guest, error: &wasmtime::Error) -> Box<Diagnostic> {
    if let Some(what) = guest.stopped.take() {
        return error::limit(label, method, &what);
    }
    if let Some(panic) = guest.panic.take() {
        return error::broken(label, method, &panic);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => {
            let seconds = guest.limits.time.as_secs_f64();
            error::limit(label, method, &format!("it computed for more than {seconds} seconds"))
        }
        Some(trap) => error::broken(label, method, &format!("it trapped: {trap}")),
        // The library has no type for this one.
        None if format!("{error:#}").contains("fuel allocated for hostcalls") => {
            error::too_long(label, method, guest.limits.message)
        }
        None => error::broken(label, method, &format!("{error:#}")),
    }
}
