// SPDX-License-Identifier: Apache-2.0
// Reading and asking with limits: on bytes, and on the time of a whole exchange.
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// `maxMessageBytes` of src/protocol/messages.ts; also the limit of a network configuration.
const MAX_BYTES: u64 = 1024 * 1024;

/// `problem` is a word that the script decides by, `message` is for people.
pub struct Failure {
    pub problem: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(problem: &'static str, message: impl ToString) -> Self {
        Self {
            problem,
            message: message.to_string(),
        }
    }
}

/// Reads UTF-8 to the end of `source`.
pub fn read_text(source: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new("read", error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::new("tooLong", format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| Failure::new("encoding", error))
}

fn exchange(path: &str, body: &str) -> Result<String, Failure> {
    let mut socket = UnixStream::connect(path).map_err(|error| Failure::new("connect", error))?;
    socket
        .write_all(body.as_bytes())
        .map_err(|error| Failure::new("write", error))?;
    socket
        .shutdown(Shutdown::Write)
        .map_err(|error| Failure::new("write", error))?;
    read_text(socket)
}

/// Writes `body` to the unix socket at `path`, closes that half, and reads the answer. A thread does it, so that one
/// limit covers all steps: connect to a socket with a full backlog waits without end, and so does a server that answers
/// one byte a minute.
pub fn request(path: String, body: String, timeout: Duration) -> Result<String, Failure> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(exchange(&path, &body)));
    let late = |_| Failure::new("timeout", format!("no answer within {} ms", timeout.as_millis()));
    receiver.recv_timeout(timeout).map_err(late)?
}
