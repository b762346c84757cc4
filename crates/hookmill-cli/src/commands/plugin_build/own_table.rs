//! Gives a module the table that it fills, which a linker of libraries has another module define.
//!
//! An engine prepares the entries of a table when it compiles the module that defines it, and makes each one when it is
//! first called. A table of another module it has to fill whenever an instance starts: for QuickJS, as componentize-qjs
//! links it, with 709 functions, of which a call uses few. So the module that fills a table first and alone comes to
//! define and to export it, and who took it from elsewhere takes it from there. What the code does stays the same.
//!
//! Such a component has a main module, which defines the table and calls some entries of it for what was instantiated
//! before the libraries; libraries, of which the first is the one that fills most; and a module that puts the entries
//! in which the main module calls. As that one goes on to call them in the old table, it puts them into both.

mod find;
mod modules;
mod rewrite;

use wasm_encoder::{Component, ComponentSectionId, RawSection};
use wasmparser::Payload;

use super::sections::sections;
use find::Scope;

/// Returns the component in which each such module owns its table, or nothing if there is none.
///
/// # Errors
///
/// If the component can't be read, which its inspection words better.
pub(super) fn own_table(component: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let sections = sections(component)?;
    if let Some(filled) = Scope::read(&sections)?.filled()? {
        return rewrite::component(&sections, &filled);
    }
    // Linked components stand within others, which bring what was made when they were built.
    let (mut outer, mut changed) = (Component::new(), false);
    for (payload, raw) in &sections {
        let inner = matches!(payload, Payload::ComponentSection { .. }).then(|| own_table(raw.data)).transpose()?;
        match inner.flatten() {
            Some(data) => {
                outer.section(&RawSection { id: ComponentSectionId::Component.into(), data: &data });
                changed = true;
            }
            None => drop(outer.section(raw)),
        }
    }
    Ok(changed.then(|| outer.finish()))
}

#[cfg(test)]
mod tests;
