//! A small HTTP server on this machine, for as long as a test runs.
#![allow(dead_code, clippy::unwrap_used)] // each test program uses some of it

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// No test asks more often.
const REQUESTS: usize = 100;

/// What the server is to answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What it says the length is, where that is not true.
    length: Option<usize>,
    pause: Duration,
    /// Between one byte of the body and the next.
    drip: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let (headers, length) = (Vec::new(), None);
        let (pause, drip) = (Duration::ZERO, Duration::ZERO);
        Self { status, headers, body: body.into(), length, pause, drip }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn length(self, length: usize) -> Self {
        Self { length: Some(length), ..self }
    }

    /// Waits in the middle of the body.
    pub(crate) fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Sends the body byte by byte.
    pub(crate) fn drip(self, drip: Duration) -> Self {
        Self { drip, ..self }
    }
}

/// What was asked: the first line, and the headers with names in small letters.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server; it stops when it goes out of scope.
pub(crate) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers what the function gives for a request and the number of those before it.
    pub(crate) fn new(answer: impl Fn(&Asked, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut number = 0;
            for stream in listener.incoming().take(REQUESTS) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { return };
                let Some(asked) = read(&stream) else { continue };
                log.lock().unwrap().push(asked.clone());
                number += 1;
                let _ = write(&stream, &answer(&asked, number - 1)); // the client may have gone
            }
        });
        Self { port, asked, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.take(64 << 10)).lines();
    let line = lines.next()?.ok()?;
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        match line.split_once(':') {
            Some((name, value)) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => break,
        }
    }
    Some(Asked { line, headers })
}

fn write(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    let Reply { status, headers, body, length, pause, drip } = reply;
    let length = length.unwrap_or(body.len());
    let mut head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n");
    if *status != 304 {
        head += &format!("Content-Length: {length}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if !drip.is_zero() {
        for byte in body {
            stream.write_all(&[*byte])?;
            thread::sleep(*drip);
        }
        return Ok(());
    }
    let (first, rest) = body.split_at(body.len() / 2);
    stream.write_all(first)?;
    thread::sleep(*pause);
    stream.write_all(rest)
}
