//! What a plugin's own tests need: with it, an ordinary `cargo test` runs the transform without any WebAssembly.
//!
//! ```
//! use hookmill_sdk::{Decision, Event, Failure, NoSettings, Request, testing};
//!
//! fn transform(event: &Event, draft: Request, _: NoSettings) -> Result<Decision, Failure> {
//!     hookmill_sdk::info!("passing {} on", event.doc_name());
//!     Ok(draft.json_text(event.doc_text()).into())
//! }
//!
//! let event = Event::from_json(r#"{"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}}"#)?;
//! let (decision, lines) = testing::logged(|| testing::call(transform, &event, testing::draft(), "{}"));
//! assert_eq!(decision?.into_request().unwrap().body.as_text(), Some(r#"{"name": "N-1"}"#));
//! assert_eq!(lines[0].1, "passing N-1 on");
//! # Ok::<(), Failure>(())
//! ```

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::log::Level;
use crate::{Decision, Event, Failure, Request};

/// Calls a transform as the component does: the settings come as JSON text and are read into the author's type.
///
/// # Errors
///
/// Fails as the transform does, or if the settings don't fit its type.
pub fn call<S, D, E>(
    transform: impl Fn(&Event, Request, S) -> Result<D, E>,
    event: &Event,
    draft: Request,
    settings: &str,
) -> Result<Decision, Failure>
where
    S: DeserializeOwned,
    D: Into<Decision>,
    E: Into<Failure>,
{
    crate::call::call(transform, event, draft, settings)
}

/// Returns a draft like the one that a webhook without data rows and template gives.
pub fn draft() -> Request {
    Request::new("POST", "https://receiver.example/in")
}

thread_local! {
    static LINES: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

/// Runs `f` and returns its result with what it logged on this thread.
pub fn logged<T>(f: impl FnOnce() -> T) -> (T, Vec<(Level, String)>) {
    let outer = LINES.replace(Some(Vec::new()));
    let result = f();
    (result, LINES.replace(outer).unwrap_or_default())
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "outside of a component there is no host to write to")]
pub(crate) fn write(level: Level, message: &str) {
    LINES.with_borrow_mut(|lines| match lines {
        Some(lines) => lines.push((level, message.to_owned())),
        None => eprintln!("{level:?}: {message}"),
    });
}
