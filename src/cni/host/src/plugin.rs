// SPDX-License-Identifier: Apache-2.0
// Running another plugin, with a limit on its time.
use crate::exchange::{Failure, read_text};
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(1);

/// What it printed, and its exit code; of one that a signal ended, 255.
pub type Ended = (String, i32);

fn start(path: &str, command: &str) -> Result<Child, Failure> {
    Command::new(path)
        .env("CNI_COMMAND", command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::new("missing", error),
            _ => Failure::new("start", error),
        })
}

/// Writes all of `input` and reads all that comes, in a thread: either may last for ever. A plugin that does not read has
/// ended already, and what it printed says why.
fn converse(
    mut to: impl Write + Send + 'static,
    from: impl Read + Send + 'static,
    input: String,
    timeout: Duration,
) -> Result<String, Failure> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = to.write_all(input.as_bytes());
        drop(to);
        let _ = sender.send(read_text(from));
    });
    receiver.recv_timeout(timeout).map_err(|_| late(timeout))?
}

fn late(timeout: Duration) -> Failure {
    Failure::new("timeout", format!("no end within {} ms", timeout.as_millis()))
}

/// It may close stdout and go on.
fn wait(child: &mut Child, end: Instant, timeout: Duration) -> Result<ExitStatus, Failure> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() >= end => return Err(late(timeout)),
            Ok(None) => thread::sleep(POLL),
            Err(error) => return Err(Failure::new("read", error)),
        }
    }
}

/// Runs `path` with this process's variables and `CNI_COMMAND` set to `command`; kills it where it has not ended after
/// `timeout`, or prints what is no text.
pub fn run(path: &str, command: &str, input: String, timeout: Duration) -> Result<Ended, Failure> {
    let end = Instant::now() + timeout;
    let mut child = start(path, command)?;
    let ended = match (child.stdin.take(), child.stdout.take()) {
        (Some(to), Some(from)) => converse(to, from, input, timeout),
        _ => Err(Failure::new("start", "it has no stdin or no stdout")),
    }
    .and_then(|text| Ok((text, wait(&mut child, end, timeout)?.code().unwrap_or(255))));
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}
