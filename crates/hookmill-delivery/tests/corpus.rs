//! Everything that fuzzing begins with, or once failed at, holds.

#![allow(clippy::print_stdout, reason = "where a target fails, the file's name is what one wants to know")]

#[path = "../../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "cargo-fuzz has it in a library")]
mod targets;

use std::path::Path;

/// Runs every file of a target's corpus through it.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files: Vec<_> =
        std::fs::read_dir(&folder).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() > 3, "{} has hardly a file", folder.display());
    for file in files {
        println!("{}", file.display());
        target(&std::fs::read(&file).expect("a file that can be read"));
    }
}

#[test]
fn urls() {
    replay("url_guard", targets::url_guard);
}

#[test]
fn webhooks() {
    replay("webhook", targets::webhook);
}

#[test]
fn events() {
    replay("event", targets::event);
}

#[test]
fn secrets() {
    replay("secret", targets::secret);
}

#[test]
fn waits() {
    replay("retry_after", targets::retry_after);
}

#[test]
fn signatures() {
    replay("signature", targets::signature);
}
