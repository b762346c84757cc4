//! Custom sections, in which a component brings its manifest and its fixtures along.

use std::borrow::Cow;

use wasm_encoder::{Component, CustomSection, Encode as _, RawSection, Section as _};
use wasmparser::{Parser, Payload};

/// Returns `component` with one more custom section at its end.
pub(crate) fn append(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: Cow::Borrowed(name), data: Cow::Borrowed(data) };
    let mut bytes = component.to_vec();
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes
}

/// Returns `component` without its custom sections of this name; those of what is nested in it stay.
pub(crate) fn strip(component: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let mut kept = Component::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| error.to_string())?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 1 && section.name() == name => {}
            other if depth == 1 => {
                if let Some((id, range)) = other.as_section() {
                    let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
                    let data = range.and_then(|(start, end)| component.get(start..end));
                    let data = data.ok_or("a section ends behind it")?;
                    kept.section(&RawSection { id, data });
                }
            }
            _ => {}
        }
    }
    Ok(kept.finish())
}
