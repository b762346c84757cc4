//! Custom sections, in which a component brings its manifest and its fixtures along.

use std::borrow::Cow;

use wasm_encoder::{CustomSection, Encode as _, Section as _};

/// Returns `component` with one more custom section at its end.
pub(crate) fn append(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: Cow::Borrowed(name), data: Cow::Borrowed(data) };
    let mut bytes = component.to_vec();
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes
}
