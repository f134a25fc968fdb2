// SPDX-License-Identifier: Apache-2.0
// Running another plugin, with a limit on its time and on that of all that it starts.
use crate::exchange::{Failure, read_text};
use std::fs::metadata;
use std::io::{Error, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(1);
/// One that waits in the kernel ends when the kernel lets it, and not before.
const DEATH: Duration = Duration::from_secs(1);

const SIGKILL: i32 = 9;
const PR_SET_PDEATHSIG: i32 = 1;

unsafe extern "C" {
    /// kill(2): a negative `pid` stands for a whole process group.
    fn kill(pid: i32, signal: i32) -> i32;
    /// prctl(2)
    fn prctl(option: i32, ...) -> i32;
}

/// What it printed, and its exit code; of one that a signal ended, 255.
pub type Ended = (String, i32);

/// In a process group of its own, so that what it starts ends with it; it goes where this process goes, as a runtime that
/// ended this one expects.
fn start(path: &str, command: &str) -> Result<Child, Failure> {
    match metadata(path) {
        Ok(file) if file.is_file() => {}
        Ok(_) => return Err(Failure::new("missing", "it is no file")),
        Err(error) => return Err(Failure::new("missing", error)),
    }
    let mut plugin = Command::new(path);
    plugin
        .env("CNI_COMMAND", command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    let die_with_parent = || match unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL as usize) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    };
    // SAFETY: prctl(2) is all that is called between fork and exec; it touches no memory.
    unsafe { plugin.pre_exec(die_with_parent) };
    plugin.spawn().map_err(|error| Failure::new("start", error))
}

/// The plugin and all that it has started.
fn kill_group(child: &mut Child) {
    // SAFETY: kill(2) touches no memory, and nobody has waited for the child, so the number is its own still.
    unsafe { kill(-(child.id() as i32), SIGKILL) };
    let _ = wait(child, Instant::now() + DEATH, DEATH);
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
        kill_group(&mut child);
    }
    ended
}
