//! The libraries that receivers use in Python, run over what was sent.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookmill_testing::{Received, target_dir};
use serde_json::{Value, json};

/// Returns requests as a script gets them: header names in lower case, the body as text.
pub(crate) fn captured(requests: &[Received]) -> Vec<Value> {
    let shown = |request: &Received| {
        let headers: serde_json::Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
        json!({"headers": headers, "body": request.text()})
    };
    requests.iter().map(shown).collect()
}

/// Runs a script over what was captured.
pub(crate) fn python_says(script: &str, captured: &Value) -> String {
    let dir = tempfile::TempDir::new().expect("a folder");
    let (script_file, file) = (dir.path().join("verify.py"), dir.path().join("captured.json"));
    std::fs::write(&script_file, script).expect("a file");
    std::fs::write(&file, captured.to_string()).expect("a file");
    run(Command::new(python()).arg(&script_file).arg(&file), "verify what was sent").trim().to_owned()
}

/// What receivers verify and read with. With another set, the environment needs another name.
const LIBRARIES: [&str; 5] =
    ["standardwebhooks==1.1.0", "cryptography==50.0.2", "stripe==16.1.0", "gidgethub==6.0.0", "cloudevents==2.2.0"];

/// Returns a Python that has the libraries, in an environment under the target folder; made at the first use.
fn python() -> PathBuf {
    // Two tests that made it at one time would spoil it for each other.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = MAKING.lock();
    let environment = target_dir().join("python-of-receivers-2");
    let python = environment.join("bin/python3");
    let made = environment.join("made");
    if !made.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), "make a Python environment");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(LIBRARIES);
        run(&mut pip, "install the Python libraries of receivers");
        write_mark(&made);
    }
    python
}

pub(crate) fn write_mark(made: &Path) {
    std::fs::write(made, "complete\n").expect("the environment can be written to");
}

pub(crate) fn run(command: &mut Command, attempt: &str) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("failed to {attempt}: {command:?}: {error}; this test needs python3 with pip, and Node.js with npm")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "failed to {attempt}: {}: {errors}; this test needs python3 with pip, and Node.js with npm",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
