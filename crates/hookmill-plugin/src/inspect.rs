//! What can be said of a component without compiling it, and everything that may be wrong with one.

use hookmill_core::Digest;
use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, Parser, Payload, Validator};

use crate::fixture::{FIXTURES_SECTION, Fixture, read_section};
use crate::limits::PluginLimits;
use crate::manifest::{Manifest, SECTION};
use crate::problem::{LoadPluginError, LoadProblem};

/// The export that makes a component a plugin.
const TRANSFORM: &str = "hookmill:plugin/transform@1.0.0";

/// The interfaces that are linked, of any compatible version: hookmill's own, and of WASI what language runtimes
/// need to start, with nothing behind it.
const GRANTED: [&str; 7] = [
    "hookmill:plugin/types@",
    "hookmill:plugin/log@",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
];

/// Imports and exports of a component, and bytes of their names: they are stored and shown. The largest real ones have
/// some dozens.
const NAMES_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 64 * 1024;

/// What a component is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Its digest, which is its version.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: usize,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Its manifest, if it has one.
    pub manifest: Option<Manifest>,
    /// The fixtures that it brings along.
    #[serde(skip)]
    pub fixtures: Vec<Fixture>,
}

/// Inspects a component; answers with every problem that can be found without compiling it.
pub fn inspect(wasm: &[u8], limits: &PluginLimits) -> Result<Inspection, LoadPluginError> {
    inspect_hashed(wasm, hash(wasm, limits)?)
}

/// Hashes a component, unless it is too large for that.
pub(crate) fn hash(wasm: &[u8], limits: &PluginLimits) -> Result<Digest, LoadProblem> {
    if wasm.len() > limits.component_bytes_max {
        return Err(LoadProblem::TooLarge { bytes: wasm.len(), bytes_max: limits.component_bytes_max });
    }
    Ok(Digest::of(wasm))
}

/// Does what [`inspect`] does with a component that has this digest.
pub(crate) fn inspect_hashed(wasm: &[u8], digest: Digest) -> Result<Inspection, LoadPluginError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(LoadProblem::NotWasm.into());
    }
    if wasm.get(4..8) == Some(&[1, 0, 0, 0]) {
        return Err(LoadProblem::CoreModule.into());
    }
    let corrupt = |error: wasmparser::BinaryReaderError| {
        LoadPluginError::from(LoadProblem::Corrupt { offset: error.offset(), cause: error.message().to_owned() })
    };
    Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(wasm).map_err(corrupt)?;

    let mut inspection =
        Inspection { digest, bytes: wasm.len(), imports: vec![], exports: vec![], manifest: None, fixtures: vec![] };
    let mut problems = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(corrupt)? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    inspection.imports.push(import.map_err(corrupt)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    inspection.exports.push(export.map_err(corrupt)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 1 && section.name() == SECTION => {
                match std::str::from_utf8(section.data())
                    .map_err(|error| error.to_string())
                    .and_then(|text| Manifest::parse(text).map_err(|error| error.0))
                {
                    Ok(_) if inspection.manifest.is_some() => {
                        problems.push(LoadProblem::BadManifest { cause: "there is more than one".into() });
                    }
                    Ok(manifest) => inspection.manifest = Some(manifest),
                    Err(cause) => problems.push(LoadProblem::BadManifest { cause }),
                }
            }
            Payload::CustomSection(section) if depth == 1 && section.name() == FIXTURES_SECTION => {
                match read_section(section.data()) {
                    // A second section must not take the place of what the author tested.
                    Ok(_) if !inspection.fixtures.is_empty() => {
                        problems
                            .push(LoadProblem::BadFixtures { cause: "there is more than one section of them".into() });
                    }
                    Ok(fixtures) => inspection.fixtures = fixtures,
                    Err(cause) => problems.push(LoadProblem::BadFixtures { cause }),
                }
            }
            _ => {}
        }
    }

    let names = inspection.imports.iter().chain(&inspection.exports);
    let (count, bytes) = names.fold((0, 0), |(count, bytes), name| (count + 1, bytes + name.len()));
    if count > NAMES_MAX || bytes > NAME_BYTES_MAX {
        return Err(LoadProblem::TooManyNames { count, bytes }.into());
    }
    if !inspection.exports.iter().any(|export| export == TRANSFORM) {
        let other = inspection.exports.iter().find(|export| export.starts_with("hookmill:plugin/transform@"));
        problems.push(match other {
            Some(export) => LoadProblem::OtherContract { export: export.clone() },
            None => LoadProblem::MissingExport { exports: inspection.exports.clone() },
        });
    }
    let refused = inspection.imports.iter().filter(|import| !GRANTED.iter().any(|granted| import.starts_with(granted)));
    problems.extend(refused.map(|import| LoadProblem::UnknownImport { import: import.clone() }));
    if problems.is_empty() { Ok(inspection) } else { Err(LoadPluginError::new(problems)) }
}
