//! The WIT of a component: the interfaces that it imports and exports, as text.

use anyhow::Context as _;
use wit_component::{WitPrinter, decode};

/// Returns the component's world and, behind it, the packages that it names.
pub(super) fn of(wasm: &[u8]) -> anyhow::Result<String> {
    let decoded = decode(wasm).context("the component's interfaces can't be read")?;
    let (resolve, main) = (decoded.resolve(), decoded.package());
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != main).collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, main, &others).context("the component's interfaces can't be written as WIT")?;
    Ok(printer.output.to_string())
}
