//! The host's side of each released contract. Older ones map to the newest; so far there is one.

#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "generated from wit/plugin.wit")]

pub(crate) mod v1 {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "full-plugin",
    });
}
