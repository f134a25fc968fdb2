// SPDX-License-Identifier: Apache-2.0
// The executable around fast-cni's TypeScript. It only lends eight functions (`host`, see src/cni/host.ts) and decides
// nothing; a fault in the script still ends in a CNI error on stdout, because that is all that a runtime reads.
mod exchange;
mod plugin;

use exchange::{Failure, read_text, request};
use rquickjs::context::intrinsic::{Json, MapSet, Promise, RegExp, RegExpCompiler};
use rquickjs::{CatchResultExt, Context, Ctx, Function, Module, Object, Result, Runtime};
use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Written by the `compile` program beside this one.
static BYTECODE: &[u8] = include_bytes!(env!("FAST_CNI_BYTECODE"));

/// What the script uses beside the language itself; every other built-in would cost each run its set-up.
type Builtins = (Json, MapSet, Promise, RegExp, RegExpCompiler);

/// `{text}` or `{problem, message}`, as src/cni/host.ts declares it.
fn outcome<'js>(c: &Ctx<'js>, result: std::result::Result<String, Failure>) -> Result<Object<'js>> {
    let object = Object::new(c.clone())?;
    match result {
        Ok(text) => object.set("text", text)?,
        Err(failure) => {
            object.set("problem", failure.problem)?;
            object.set("message", failure.message)?;
        }
    }
    Ok(object)
}

fn read_stdin(c: Ctx<'_>) -> Result<Object<'_>> {
    // A person at a terminal must not be made to type an end of file.
    let input = if stdin().is_terminal() {
        Ok(String::new())
    } else {
        read_text(stdin().lock())
    };
    outcome(&c, input)
}

fn unix_request<'js>(c: Ctx<'js>, path: String, body: String, timeout_ms: f64) -> Result<Object<'js>> {
    outcome(&c, request(path, body, Duration::from_millis(timeout_ms as u64)))
}

/// `{text, exitCode}` or `{problem, message}`.
fn run_plugin<'js>(c: Ctx<'js>, path: String, command: String, input: String, timeout_ms: f64) -> Result<Object<'js>> {
    let ended = plugin::run(&path, &command, input, Duration::from_millis(timeout_ms as u64));
    let exit_code = ended.as_ref().map_or(0, |(_, code)| *code);
    let object = outcome(&c, ended.map(|(text, _)| text))?;
    object.set("exitCode", exit_code)?;
    Ok(object)
}

/// A closed stdout leaves nobody to tell; the exit code still says it.
fn print(text: String, exit_code: &Cell<u8>) {
    let mut out = stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        exit_code.set(1);
    }
}

fn lend_host(c: &Ctx<'_>, exit_code: &Rc<Cell<u8>>) -> Result<()> {
    let host = Object::new(c.clone())?;
    let start = Instant::now();
    host.set(
        "elapsedMs",
        Function::new(c.clone(), move || start.elapsed().as_millis() as f64)?,
    )?;
    host.set(
        "env",
        Function::new(c.clone(), |name: String| std::env::var(name).ok())?,
    )?;
    host.set("stdin", Function::new(c.clone(), read_stdin)?)?;
    host.set("unixRequest", Function::new(c.clone(), unix_request)?)?;
    host.set("runPlugin", Function::new(c.clone(), run_plugin)?)?;
    host.set(
        "printError",
        Function::new(c.clone(), |text: String| drop(stderr().write_all(text.as_bytes())))?,
    )?;
    let code = exit_code.clone();
    host.set(
        "print",
        Function::new(c.clone(), move |text: String| print(text, &code))?,
    )?;
    let code = exit_code.clone();
    host.set("exitCode", Function::new(c.clone(), move |value: u8| code.set(value))?)?;
    c.globals().set("host", host)
}

fn run(exit_code: &Rc<Cell<u8>>) -> std::result::Result<(), String> {
    let context = Runtime::new()
        .and_then(|runtime| Context::custom::<Builtins>(&runtime))
        .map(ManuallyDrop::new)
        .map_err(|error| error.to_string())?;
    context.with(|c| {
        lend_host(&c, exit_code).catch(&c).map_err(|error| error.to_string())?;
        // SAFETY: the bytes were written at build time by this version of QuickJS and lie inside the executable.
        let module = unsafe { Module::load(c.clone(), BYTECODE) }
            .catch(&c)
            .map_err(|error| error.to_string())?;
        let (_module, done) = module.eval().catch(&c).map_err(|error| error.to_string())?;
        done.finish::<()>().catch(&c).map_err(|error| error.to_string())
    })
}

fn main() -> ExitCode {
    let exit_code = Rc::new(Cell::new(0));
    if let Err(fault) = run(&exit_code) {
        let fault: String = fault
            .chars()
            .map(|c| {
                if c.is_control() || c == '"' || c == '\\' {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        print(
            format!(
                "{{\"cniVersion\":\"1.0.0\",\"code\":101,\"msg\":\"fault in fast-cni; please report it: {fault}\"}}\n"
            ),
            &exit_code,
        );
        exit_code.set(1);
    }
    ExitCode::from(exit_code.get())
}
