//! The contract of `wit/` as Rust types, made by wit-bindgen. Plugins reach it only through [`plugin!`](crate::plugin).
#![allow(unsafe_code, reason = "the canonical ABI passes pointers; all of it is generated")]
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::all,
    clippy::exhaustive_enums,
    reason = "generated from the contract, which is documented"
)]

#[cfg(not(feature = "full"))]
wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "hookmill_sdk::bindings",
});

#[cfg(feature = "full")]
wit_bindgen::generate!({
    path: "wit",
    world: "full-plugin",
    pub_export_macro: true,
    default_bindings_module: "hookmill_sdk::bindings",
});

#[cfg(feature = "full")]
pub use crate::guest::full::{judge, validate_settings};
pub use crate::guest::transform;
