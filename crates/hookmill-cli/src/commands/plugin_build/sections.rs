//! The sections of a WebAssembly binary, to be passed on as they stand or in another form.

use anyhow::Context as _;
use wasm_encoder::RawSection;
use wasmparser::{Parser, Payload};

/// Returns the sections of a module or component, parsed and raw, in their order; those of what is nested in it are not
/// among them.
pub(super) fn sections(binary: &[u8]) -> anyhow::Result<Vec<(Payload<'_>, RawSection<'_>)>> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(binary) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth == 1 => {
                if let Some((id, range)) = payload.as_section() {
                    let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                    let data = binary.get(range).context("a section ends behind its binary")?;
                    found.push((payload, RawSection { id, data }));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
