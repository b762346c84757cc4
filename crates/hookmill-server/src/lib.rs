//! The REST API of hookmill: the engine's interface in HTTP, and nothing more.
//!
//! Every rule lives in the engine; here requests become calls and answers become JSON. Errors are RFC 9457 problem
//! documents with a stable `code`.

mod api;
mod auth;
mod problem;
mod server;
mod token;

pub use hookmill;
pub use server::{BindError, Server, ServerLimits};
pub use token::{TOKEN_CHARS_MIN, Token, TokenError};
