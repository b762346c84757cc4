//! Makes a component of a core module: adds the contract's types, leaves out debug information.

use std::path::Path;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::Module;
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::sections::sections;
use crate::exit_code::{Failure, PLUGIN};
use crate::templates::WIT;

/// Returns the component of a core module that exports what the contract's bindings for C export.
pub(super) fn component(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut module = without_debug_sections(module)?;
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", &WIT.map(|(_, text)| text).concat())?;
    let world = resolve.select_world(&[package], Some(world_of(&module)?))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    // What the C library asks of WASI's first version, such as printing, is passed on to the second.
    ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
        .encode()
}

/// Returns the world with what the author defined: of the optional functions, the SDK for C exports those under their names.
fn world_of(module: &[u8]) -> anyhow::Result<&'static str> {
    let (mut judges, mut describes) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ExportSection(exports) = payload? else { continue };
        for export in exports {
            match export?.name {
                "hookmill_judge" => judges = true,
                "hookmill_describe" | "hookmill_validate_settings" => describes = true,
                _ => {}
            }
        }
    }
    Ok(match (judges, describes) {
        (false, false) => "plugin",
        (true, false) => "judging-plugin",
        (false, true) => "describing-plugin",
        (true, true) => "full-plugin",
    })
}

/// Tells why a module can't become a component.
pub(super) fn refused(file: &Path, error: &anyhow::Error) -> Failure {
    Failure::new(PLUGIN, "module_unfit", format!("{} can't become a component: {error:#}", file.display()))
        .help("link with -mexec-model=reactor, and with hookmill/component.c and hookmill/contract/plugin.c")
}

/// Leaves out the sections of debug information, which are ten times as large as the code; functions keep their names.
fn without_debug_sections(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut kept = Module::new();
    for (payload, raw) in sections(module)? {
        if !matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(".debug_")) {
            kept.section(&raw);
        }
    }
    Ok(kept.finish())
}
