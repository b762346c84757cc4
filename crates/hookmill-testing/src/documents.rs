//! The sample documents of `tests/documents`.

use std::path::PathBuf;

use hookmill_core::EventEnvelope;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/documents")
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display()))
}

/// Returns the text of an event as `POST /v1/events` takes it, for example `quotation-on-update`.
pub fn document(name: &str) -> String {
    String::from_utf8(read(folder().join(format!("{name}.json")))).expect("sample documents are UTF-8")
}

/// Returns a sample event as the library takes it.
pub fn envelope(name: &str) -> EventEnvelope {
    EventEnvelope::parse(document(name).as_bytes()).expect("sample documents are events")
}

/// Returns the exact bytes that a receiver must get, for example those of `quotation-invoice`.
pub fn expected(name: &str) -> Vec<u8> {
    read(folder().join("expected").join(format!("{name}.json")))
}
