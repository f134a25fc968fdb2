// SPDX-License-Identifier: Apache-2.0
// Build tool: `compile BUNDLE.js BYTECODE`. QuickJS reads only bytecode of its own version, so the same crate writes it.
use rquickjs::{CatchResultExt, Context, Module, Runtime, WriteOptions};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bundle), Some(bytecode)) = (arguments.next(), arguments.next()) else {
        return Err("usage: compile BUNDLE.js BYTECODE".into());
    };
    let source = std::fs::read_to_string(&bundle).map_err(|error| format!("cannot read {bundle}: {error}"))?;
    let context = Context::full(&Runtime::new()?)?;
    let bytes = context.with(|c| {
        let module = Module::declare(c.clone(), "fast-cni", source)
            .catch(&c)
            .map_err(|error| error.to_string())?;
        // Names and lines of the source are half of the bytecode, and reading it is half of a run.
        let options = WriteOptions {
            strip_source: true,
            strip_debug: true,
            ..Default::default()
        };
        module.write(options).map_err(|error| error.to_string())
    })?;
    std::fs::write(&bytecode, bytes).map_err(|error| format!("cannot write {bytecode}: {error}"))?;
    Ok(())
}
