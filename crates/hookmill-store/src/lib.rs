//! The embedded durable store of hookmill.
//!
//! [`SqliteStore`] keeps events, deliveries, attempts, configuration and blobs in one SQLite file that anyone can
//! open and read; [`MemoryStore`] says the same in memory, for tests; [`conformance`] is the suite that every store
//! must pass. A store keeps what it is given and finds it again; it never decides when to retry or which delivery
//! is next.

pub mod conformance;
mod memory;
mod query;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{Counted, Salvaged, SqliteOptions, SqliteStore, salvage};
