//! A native library in a process of its own, so that limits bind it and a crash is only its own.
//!
//! The processes talk through a socket, in frames: a letter, a name and a text. The one that serves the
//! plugin sets its own limit of memory before it loads it; time is watched from here. The plugin still
//! has the user's rights: this keeps x2nix alive, and is no sandbox.
//!
//! ```text
//! x2nix  -- C method request -->  plugin's process      a call
//! x2nix  <- Q method request ---                        a question to the host, as often as it likes
//! x2nix  -- R|E answer -------->                        its answer, or refusal
//! x2nix  <- R|E|B answer -------                        the answer of the call, or refusal, or how it broke
//! ```

use crate::{Limits, PluginFile, error, native::Native};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    ffi::OsString,
    io::{self, BufReader, BufWriter, Read, Write},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};
use x2nix_plugin_host::carrier::Carrier;
use x2nix_protocol::{
    Diagnostic, PluginResult,
    message::{HostLine, Line, Reply},
};

const CALL: u8 = b'C';
const QUESTION: u8 = b'Q';
const ANSWER: u8 = b'R';
const REFUSED: u8 = b'E';
const BROKEN: u8 = b'B';

struct Frame {
    tag: u8,
    name: String,
    text: Vec<u8>,
}

impl Frame {
    fn of_reply(reply: Reply) -> Self {
        let (tag, text) = match reply {
            Ok(text) => (ANSWER, text),
            Err(text) => (REFUSED, text),
        };
        Self { tag, name: String::new(), text }
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = |length: usize| {
            u32::try_from(length).map(u32::to_le_bytes).map_err(|_| io::ErrorKind::FileTooLarge)
        };
        to.write_all(&[self.tag])?;
        to.write_all(&length(self.name.len())?)?;
        to.write_all(&length(self.text.len())?)?;
        to.write_all(self.name.as_bytes())?;
        to.write_all(&self.text)?;
        to.flush()
    }

    fn read(from: &mut impl Read, largest: usize) -> io::Result<Self> {
        let mut head = [0; 9];
        from.read_exact(&mut head)?;
        let number = |at: usize| {
            u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
        };
        let mut bytes = |length: usize| {
            if length > largest {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            let mut bytes = Vec::new();
            from.take(length as u64).read_to_end(&mut bytes)?;
            if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        };
        let name = String::from_utf8_lossy(&bytes(number(1))?).into_owned();
        Ok(Self { tag: head[0], name, text: bytes(number(5))? })
    }
}

/// How often it is looked whether the request was cancelled.
const GLANCE: Duration = Duration::from_millis(50);

/// A library whose conversations each have a process.
pub(crate) struct Isolated {
    label: String,
    path: PathBuf,
    hash: String,
    program: Vec<OsString>,
    limits: Limits,
}

impl Isolated {
    pub(crate) fn new(file: &PluginFile, program: Vec<OsString>, limits: Limits) -> Self {
        let (label, path, hash) = (file.label.clone(), file.path.clone(), file.hash.clone());
        Self { label, path, hash, program, limits }
    }
}

impl Carrier for Isolated {
    fn label(&self) -> &str {
        &self.label
    }

    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        let failed = |error: io::Error| {
            let message = format!("cannot start a process for the plugin {}: {error}", self.label);
            Diagnostic::error("plugin::process", message).access()
        };
        let (program, arguments) = self.program.split_first().ok_or_else(|| {
            failed(io::Error::new(io::ErrorKind::NotFound, "there is no program for it"))
        })?;
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .arg(&self.path)
            .arg(&self.hash)
            .arg(self.limits.memory.to_string())
            .arg(self.limits.message.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // The plugin's own words are nothing to us.
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let input = ours.try_clone().map_err(failed)?;
        let (sender, frames) = channel();
        let largest = self.limits.message;
        // Ends with the process.
        thread::spawn(move || {
            let mut input = BufReader::new(input);
            loop {
                let frame = Frame::read(&mut input, largest);
                let last = frame.is_err();
                if sender.send(frame).is_err() || last {
                    break;
                }
            }
        });
        Ok(Box::new(Conversation {
            label: self.label.clone(),
            limits: self.limits,
            child,
            output: BufWriter::new(ours),
            frames,
            back,
        }))
    }
}

struct Conversation {
    label: String,
    limits: Limits,
    child: Child,
    output: BufWriter<UnixStream>,
    frames: Receiver<io::Result<Frame>>,
    back: Arc<dyn HostLine>,
}

impl Line for Conversation {
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply> {
        let call = Frame { tag: CALL, name: method.to_owned(), text: request.to_vec() };
        if call.write(&mut self.output).is_err() {
            return Err(self.ended(method));
        }
        let mut left = self.limits.time;
        let mut questions = 0;
        loop {
            let asked = Instant::now();
            let frame = match self.frames.recv_timeout(left.min(GLANCE)) {
                Err(RecvTimeoutError::Timeout) if self.back.cancelled() => {
                    let _ = self.child.kill();
                    return Err(Diagnostic::cancelled().into());
                }
                Err(RecvTimeoutError::Timeout) if left > GLANCE => {
                    left = left.saturating_sub(asked.elapsed());
                    continue;
                }
                Ok(Ok(frame)) => frame,
                Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Err(error::too_long(&self.label, method, self.limits.message));
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.ended(method));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    let seconds = self.limits.time.as_secs_f64();
                    let what = format!("it computed for more than {seconds} seconds");
                    return Err(error::limit(&self.label, method, &what));
                }
            };
            left = left.saturating_sub(asked.elapsed());
            match frame.tag {
                ANSWER => return Ok(Ok(frame.text)),
                REFUSED => return Ok(Err(frame.text)),
                QUESTION => {
                    questions += 1;
                    if questions > self.limits.questions {
                        let what = format!("it asked its host more than {} times", questions - 1);
                        return Err(error::limit(&self.label, method, &what));
                    }
                    let reply = self.back.call(&frame.name, &frame.text);
                    if Frame::of_reply(reply).write(&mut self.output).is_err() {
                        return Err(self.ended(method));
                    }
                }
                _ => {
                    // The process names plugin and call already.
                    let what = String::from_utf8_lossy(&frame.text);
                    let named = format!("plugin {}, call `{method}`: ", self.label);
                    let what = what.strip_prefix(&named).unwrap_or(&what);
                    return Err(match frame.name.as_str() {
                        error::LIMIT => error::limit(&self.label, method, what),
                        _ => error::broken(&self.label, method, what),
                    });
                }
            }
        }
    }
}

impl Conversation {
    fn ended(&mut self, method: &str) -> Box<Diagnostic> {
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|_| String::new(), |it| format!(" ({it})"));
        error::broken(&self.label, method, &format!("its process ended{status}"))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // It ends by itself when its input does; one that does not is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves one conversation with a library over the socket that is its standard input, and ends with it: what the
/// program of [`Loader::isolate`](crate::Loader::isolate) is to do with the four arguments that are
/// added to it: the file, its hash, how much memory it may use, and the most bytes of an answer.
pub fn serve(path: &Path, hash: &str, memory: u64, most: usize) -> PluginResult<()> {
    let failed = |error: io::Error| Diagnostic::error("plugin::process", error.to_string());
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let socket = Arc::new(Socket(Mutex::new(UnixStream::from(socket))));
    let file = PluginFile::read(path, None)?;
    if file.hash != hash {
        return Err(error::bad(&file.label, "it changed while it was being loaded"));
    }
    let memory = Rlimit { current: Some(memory), maximum: Some(memory) };
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::As, memory).map_err(|error| failed(error.into()))?;
    setrlimit(Resource::Core, none).map_err(|error| failed(error.into()))?;
    let opened = Native::open(&file.label, path, most);
    let mut line =
        opened.and_then(|native| native.connect(Arc::clone(&socket) as Arc<dyn HostLine>));
    loop {
        let Ok(call) = socket.read() else { return Ok(()) };
        let reply = match &mut line {
            Ok(line) => line.call(&call.name, &call.text),
            Err(error) => Err(error.clone()),
        };
        let frame = match reply {
            Ok(reply) => Frame::of_reply(reply),
            Err(error) => {
                Frame { tag: BROKEN, name: error.code.clone(), text: error.message.into_bytes() }
            }
        };
        if socket.write(&frame).is_err() {
            return Ok(());
        }
    }
}

struct Socket(Mutex<UnixStream>);

impl Socket {
    fn read(&self) -> io::Result<Frame> {
        // Unbuffered: what follows a frame is for the next reader.
        Frame::read(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), usize::MAX)
    }

    fn write(&self, frame: &Frame) -> io::Result<()> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(&mut BufWriter::new(&mut *socket))
    }
}

impl HostLine for Socket {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let question = Frame { tag: QUESTION, name: method.to_owned(), text: request.to_vec() };
        match self.write(&question).and_then(|()| self.read()) {
            Ok(Frame { tag: ANSWER, text, .. }) => Ok(text),
            Ok(Frame { text, .. }) => Err(text),
            Err(error) => {
                let error = Diagnostic::error("plugin::process", error.to_string());
                Err(serde_json::to_vec(&error).unwrap_or_default())
            }
        }
    }
}
