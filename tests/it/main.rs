//! The whole, tested through its public faces with real parts: sockets, components, files.
#![allow(clippy::panic, reason = "a helper that can't do its work fails the test that called it")]

mod api;
mod codes;
mod contract;
mod engine;
mod hostile;
mod hot_reload;
mod languages;
mod node;
mod plugin_limits;
mod plugin_load;
mod python;
mod sending;
mod shape;
mod stand;
mod standard_webhooks;
mod warm;

use std::path::{Path, PathBuf};

/// A file that no `mod` names is never compiled, and its tests never run.
#[test]
fn no_test_file_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let mut forgotten = Vec::new();
    let mut folders = vec![(root.clone(), root.join("main.rs"))];
    while let Some((folder, parent)) = folders.pop() {
        let parent = std::fs::read_to_string(&parent).expect("each folder has its module's file beside it");
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("a readable entry").path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8").to_owned();
            if path.is_dir() {
                folders.push((path.clone(), path.with_extension("rs")));
            } else if name != "main" && !parent.lines().any(|line| line.trim() == format!("mod {name};")) {
                forgotten.push(path);
            }
        }
    }
    assert!(forgotten.is_empty(), "no `mod` names {forgotten:?}");
}
