//! The library that receivers use in JavaScript, run over what was sent.

use std::path::PathBuf;
use std::process::Command;

use hookmill_testing::target_dir;
use serde_json::Value;

use crate::python::{run, write_mark};

/// With another version, the folder needs another name.
const LIBRARY: &str = "standardwebhooks@1.1.1";

/// Runs a script, which finds the library as `library`, over what was captured, which it finds as `captured`.
pub(crate) fn node_says(script: &str, captured: &Value) -> String {
    let dir = tempfile::TempDir::new().expect("a folder");
    let (script_file, file) = (dir.path().join("verify.cjs"), dir.path().join("captured.json"));
    let library = library().join("node_modules/standardwebhooks");
    let begin =
        "const [, , path, data] = process.argv; const library = require(path); const captured = require(data);\n";
    std::fs::write(&script_file, format!("{begin}{script}")).expect("a file");
    std::fs::write(&file, captured.to_string()).expect("a file");
    run(Command::new("node").arg(&script_file).arg(&library).arg(&file), "verify what was sent").trim().to_owned()
}

/// Returns a folder with the library, under the target folder; made at the first use.
fn library() -> PathBuf {
    // Two tests that made it at one time would spoil it for each other.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = MAKING.lock();
    let folder = target_dir().join("node-of-receivers-1");
    let made = folder.join("made");
    if !made.is_file() {
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(&folder).arg(LIBRARY);
        run(&mut npm, "install the JavaScript library of receivers");
        write_mark(&made);
    }
    folder
}
