//! What the author of a hookmill transform plugin in Rust imports.
//!
//! A plugin is one pure function: an event, the request that would be sent without it, and the webhook's settings come
//! in; a [`Decision`] or a [`Failure`] goes out. The document is read straight into the author's own types, which may
//! borrow from its text, and anything that serializes can be the body:
//!
//! ```
//! use std::borrow::Cow;
//!
//! use hookmill_sdk::{Decision, Event, Failure, NoSettings, Number, Request};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Quotation<'a> {
//!     #[serde(borrow)]
//!     name: Cow<'a, str>,
//!     #[serde(borrow)]
//!     grand_total: Number<'a>,
//! }
//!
//! #[derive(Serialize)]
//! struct Notice<'a> {
//!     quotation: &'a str,
//!     total: Number<'a>,
//! }
//!
//! fn transform(event: &Event, draft: Request, _settings: NoSettings) -> Result<Decision, Failure> {
//!     let doc: Quotation = event.doc()?;
//!     hookmill_sdk::info!("{} came to {}", doc.name, doc.grand_total);
//!     Ok(draft.json(&Notice { quotation: &doc.name, total: doc.grand_total })?.into())
//! }
//!
//! hookmill_sdk::plugin!(transform);
//!
//! # let event = Event::from_json(r#"{"doctype": "Quotation", "doc_event": "on_update",
//! #     "doc": {"name": "Q-1", "grand_total": 10.50}}"#).unwrap();
//! # let sent = hookmill_sdk::testing::call(transform, &event, hookmill_sdk::testing::draft(), "{}").unwrap();
//! # assert_eq!(sent.into_request().unwrap().body.as_text(), Some(r#"{"quotation":"Q-1","total":10.50}"#));
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`; the `.wasm` file that comes out is the
//! plugin. On every other target the crate has no imports, so a plugin's tests are ordinary `cargo test` ones: see
//! [`testing`].

#![warn(clippy::exhaustive_enums)]

mod decision;
#[cfg(feature = "full")]
mod describe;
mod event;
mod failure;
mod json;
pub mod log;
mod request;
#[cfg(feature = "full")]
mod response;
pub mod testing;

mod call;
#[cfg(target_arch = "wasm32")]
mod guest;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;

pub use decision::Decision;
#[cfg(feature = "full")]
pub use describe::Description;
pub use event::Event;
pub use failure::{Failure, FailureKind};
pub use json::{Fields, Number};
pub use request::{Body, Request};
#[cfg(feature = "full")]
pub use response::{Response, Verdict};
pub use serde_json::value::RawValue;

/// Settings of a plugin that has none: whatever the webhook says is accepted and ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub struct NoSettings {}

/// Exports a function as the plugin's `transform`.
///
/// The function takes `&Event`, the draft [`Request`] and the settings, which may be any type that deserializes, and
/// returns a [`Decision`] (or a [`Request`], which means sending it) or a [`Failure`]. The macro stands once, in the
/// root of a crate of type `cdylib`. On targets other than WebAssembly it exports nothing.
#[macro_export]
macro_rules! plugin {
    ($transform:path $(,)?) => {
        $crate::plugin!(@export $transform, {});
    };
    (@export $transform:path, { $($more:item)* }) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct HookmillPlugin;
            impl $crate::bindings::exports::hookmill::plugin::transform::Guest for HookmillPlugin {
                fn transform(
                    event: $crate::bindings::hookmill::plugin::types::Event,
                    draft: $crate::bindings::hookmill::plugin::types::Request,
                    settings: ::std::string::String,
                ) -> ::core::result::Result<
                    $crate::bindings::hookmill::plugin::types::Decision,
                    $crate::bindings::hookmill::plugin::types::Failure,
                > {
                    $crate::bindings::transform($transform, event, draft, &settings)
                }
            }
            $($more)*
            $crate::bindings::export!(HookmillPlugin with_types_in $crate::bindings);
        };
        // Natively nothing is exported; the function still counts as used.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            let _ = $transform;
        };
    };
}

/// Exports a plugin with every optional part of the contract. It needs the feature `full`.
///
/// `transform` is as in [`plugin!`]. `judge` takes `&Event`, the receiver's [`Response`] and the settings, and returns
/// a [`Verdict`]; [`Verdict::by_status`] is what the host does without it. `describe` takes nothing and returns a
/// [`Description`]. `validate_settings` takes the settings and returns `Ok` or all that is wrong with them, each a
/// [`Failure`]; settings that don't deserialize are reported before it is called.
#[cfg(feature = "full")]
#[macro_export]
macro_rules! full_plugin {
    (
        transform: $transform:path,
        judge: $judge:path,
        describe: $describe:path,
        validate_settings: $validate_settings:path $(,)?
    ) => {
        $crate::plugin!(@export $transform, {
            impl $crate::bindings::exports::hookmill::plugin::response::Guest for HookmillPlugin {
                fn judge(
                    event: $crate::bindings::hookmill::plugin::types::Event,
                    status: u16,
                    headers: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                    body: ::std::vec::Vec<u8>,
                    settings: ::std::string::String,
                ) -> $crate::bindings::hookmill::plugin::types::Verdict {
                    $crate::bindings::judge($judge, event, $crate::Response { status, headers, body }, &settings)
                }
            }
            impl $crate::bindings::exports::hookmill::plugin::describe::Guest for HookmillPlugin {
                fn describe() -> ::std::string::String {
                    $crate::Description::to_json(&$describe())
                }
                fn validate_settings(
                    settings: ::std::string::String,
                ) -> ::core::result::Result<
                    (),
                    ::std::vec::Vec<$crate::bindings::hookmill::plugin::types::Problem>,
                > {
                    $crate::bindings::validate_settings($validate_settings, &settings)
                }
            }
        });
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            let _ = ($judge, $describe, $validate_settings);
        };
    };
}

#[cfg(test)]
mod tests;
