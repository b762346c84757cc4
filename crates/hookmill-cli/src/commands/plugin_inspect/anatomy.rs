//! The sections of a component, with those of all that is nested in it.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

/// A page of WebAssembly memory, unless a memory says otherwise.
const PAGE_BYTES: u64 = 64 << 10;

/// What a component is made of.
#[derive(Debug, Default)]
pub(super) struct Anatomy {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) core_modules: usize,
    pub(super) memories: usize,
    /// Bytes of all memories together when an instance starts.
    pub(super) memory_bytes: u64,
    /// Its sections, the largest first.
    pub(super) sections: Vec<Sections>,
}

/// All sections of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Sections {
    pub(super) name: String,
    pub(super) count: usize,
    pub(super) bytes: u64,
}

impl Anatomy {
    /// Takes a component apart that was validated before.
    pub(super) fn of(wasm: &[u8]) -> anyhow::Result<Self> {
        let mut anatomy = Self::default();
        let mut sizes: HashMap<String, (usize, u64)> = HashMap::new();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.context("the component can't be read")?;
            anatomy.note(&payload, &mut depth)?;
            if let (Some(name), Some((_, range))) = (kind(&payload), payload.as_section()) {
                let (count, bytes) = sizes.entry(name).or_default();
                *count += 1;
                *bytes += range.end - range.start;
            }
        }
        anatomy.sections = sizes.into_iter().map(|(name, (count, bytes))| Sections { name, count, bytes }).collect();
        anatomy.sections.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        Ok(anatomy)
    }

    fn note(&mut self, payload: &Payload<'_>, depth: &mut usize) -> anyhow::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                *depth += 1;
                self.core_modules += usize::from(*encoding == Encoding::Module);
            }
            Payload::End(_) => *depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if *depth == 1 => {
                for import in section.clone() {
                    self.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if *depth == 1 => {
                for export in section.clone() {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let page = memory.page_size_log2.map_or(PAGE_BYTES, |log2| 1_u64.checked_shl(log2).unwrap_or(1));
                    self.memories += 1;
                    self.memory_bytes = self.memory_bytes.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Names what a section is for; none if all in it is told by others.
fn kind(payload: &Payload<'_>) -> Option<String> {
    Some(match payload {
        Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => return None,
        Payload::CodeSectionStart { .. } => "core code".into(),
        Payload::DataSection(_) => "core data".into(),
        Payload::ElementSection(_) => "core tables' entries".into(),
        Payload::CustomSection(section) => format!("custom: {}", section.name()),
        Payload::TypeSection(_)
        | Payload::ImportSection(_)
        | Payload::FunctionSection(_)
        | Payload::TableSection(_)
        | Payload::MemorySection(_)
        | Payload::GlobalSection(_)
        | Payload::ExportSection(_)
        | Payload::StartSection { .. }
        | Payload::DataCountSection { .. }
        | Payload::TagSection(_) => "core types and names".into(),
        _ => "component types and wiring".into(),
    })
}
