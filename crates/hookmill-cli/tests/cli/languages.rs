//! A plugin author's first minutes in each language: new, test, build, run.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use wasmparser::{ElementItems, Parser, Payload, TypeRef};

use crate::support::{command, ended, target};

const ORDER: &str = r#"{"reference":"SAL-QTN-2026-00001","total":1250.0,"lines":[{"sku":"SKU-1","quantity":2.0},{"sku":"SKU-2","quantity":1.0}]}"#;

/// The path with the tools that `cargo xtask plugins` installs.
fn path_with_tools() -> OsString {
    let tools = std::fs::read_dir(target().join("tools")).expect("`cargo xtask plugins` installed the tools");
    let folders = tools.map(|entry| entry.expect("an entry").path().join("bin")).filter(|folder| folder.is_dir());
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(folders.chain(std::env::split_paths(&path))).expect("folders without colons")
}

/// Makes a project, tests it with the language's own tools, builds it and runs what came out.
fn walk(language: &str, own_tools: &[&[&str]], sample: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let in_dir = |args: &[&str]| ended(command().current_dir(dir.path()).env("PATH", path_with_tools()).args(args), "");
    in_dir(&["plugin", "new", "first-order", "--lang", language]).ok();
    let project = dir.path().join("first-order");
    for tool in own_tools {
        let output = Command::new(tool[0]).args(&tool[1..]).current_dir(&project).output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{tool:?}: {}", String::from_utf8_lossy(&text));
    }
    // The tools' own words must not get into the answer.
    let built: Value = in_dir(&["--json", "plugin", "build", "first-order"]).json();
    assert_eq!((built["file"].as_str(), built["fixtures"].as_u64()), (Some("first-order/first-order.wasm"), Some(2)));
    // A component is held against the fixtures that it brings along.
    let checked = in_dir(&["--json", "plugin", "check", "first-order/first-order.wasm"]).json();
    assert_eq!(checked["manifest"]["name"], "first-order");
    let sample = format!("first-order/{sample}");
    let ran = in_dir(&["--json", "plugin", "run", "first-order/first-order.wasm", "--event", &sample]).json();
    assert_eq!(ran["request"]["body"], ORDER);
    assert_eq!(ran["log"][0], "info: 2 lines");
    std::fs::read(project.join("first-order.wasm")).expect("a component")
}

/// Returns how many entries the modules of a component put into tables that other modules define.
fn entries_for_others(component: &[u8]) -> u32 {
    let (mut entries, mut takes_a_table) = (0, false);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            Payload::Version { .. } => takes_a_table = false,
            Payload::ImportSection(imports) => {
                let mut imports = imports.into_imports().map(|import| import.expect("an import"));
                takes_a_table = imports.any(|import| matches!(import.ty, TypeRef::Table(_)));
            }
            Payload::ElementSection(elements) if takes_a_table => {
                for element in elements {
                    if let ElementItems::Functions(functions) = element.expect("elements").items {
                        entries += functions.count();
                    }
                }
            }
            _ => {}
        }
    }
    entries
}

#[test]
fn a_new_project_in_javascript_tests_builds_and_runs() {
    let component = walk("javascript", &[&["npm", "ci"], &["npm", "test"]], "test/quotation.json");
    // Each call begins with as many, unless the interpreter has come to own its table of 709.
    let entries = entries_for_others(&component);
    assert!(entries < 100, "{entries}");
}

#[test]
fn a_new_project_in_typescript_tests_builds_and_runs() {
    walk("typescript", &[&["npm", "ci"], &["npm", "test"]], "test/quotation.json");
}

#[test]
fn a_new_project_in_python_tests_builds_and_runs() {
    walk("python", &[&["python3", "-m", "unittest"]], "tests/quotation.json");
}

#[test]
fn a_new_project_in_c_tests_builds_and_runs() {
    walk("c", &[&["make", "test"]], "test/quotation.json");
}

/// Builds a new project where nothing is installed but what `path` has.
fn refused(language: &str, path: &Path) -> (String, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let in_dir =
        |args: &[&str]| ended(command().current_dir(dir.path()).env("PATH", path).env_remove("ZIG").args(args), "");
    in_dir(&["plugin", "new", "p", "--lang", language]).ok();
    let ended = in_dir(&["--json", "plugin", "build", "p"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:#?}");
    let last = ended.err.lines().last().expect("an error");
    let error = serde_json::from_str::<Value>(last).expect("JSON")["error"].clone();
    let word = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("no {key} in {error}")).to_owned();
    (word("code"), word("help"))
}

/// A folder of programs that say a word, if any, and end so.
fn programs(programs: &[(&str, &str, u8)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, word, code) in programs {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\necho '{word}'\nexit {code}\n")).expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("a program");
    }
    dir
}

#[test]
fn a_missing_tool_is_named_with_the_command_that_installs_it() {
    const VENV: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    let check = |language: &str, there: &[(&str, &str, u8)], code: &str, help: &str| {
        let (found, told) = refused(language, programs(there).path());
        assert_eq!(found, code, "{language} with {there:?}");
        assert!(told.contains(help), "{language}: {told}");
    };
    check("rust", &[], "cargo_missing", "sh.rustup.rs");
    let other_target = ("rustup", "x86_64-unknown-linux-gnu", 0);
    check("rust", &[("cargo", "", 101), other_target], "target_missing", "rustup target add wasm32-wasip2");
    check("rust", &[("cargo", "", 101), ("rustup", "wasm32-wasip2", 0)], "build_failed", "what cargo said");
    check("javascript", &[], "npm_missing", "Node.js 20");
    check("typescript", &[], "npm_missing", "Node.js 20");
    check("python", &[], "python_missing", "apt-get install python3");
    check("python", &[("python3", "plugin", 0)], "componentize_py_missing", VENV);
    check("c", &[], "zig_missing", VENV);
    check("c", &[("zig", "0.17.1", 0)], "make_missing", "apt-get install make");
}

#[test]
fn packages_that_are_not_installed_are_named() {
    let npm = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .find(|folder| folder.join("npm").is_file())
        .expect("npm is installed");
    let path = PathBuf::from(std::env::join_paths([npm, "/usr/bin".into(), "/bin".into()]).expect("folders"));
    let (code, help) = refused("javascript", &path);
    assert_eq!((code.as_str(), help.as_str()), ("packages_missing", "install them: npm install --prefix p"));
}

#[test]
fn a_build_that_fails_says_so_and_leaves_no_old_component() {
    let dir = tempfile::tempdir().expect("a directory");
    let in_dir = |args: &[&str]| ended(command().current_dir(dir.path()).env("PATH", path_with_tools()).args(args), "");
    in_dir(&["plugin", "new", "p", "--lang", "c"]).ok();
    std::fs::write(dir.path().join("p/src/plugin.c"), "this is no C\n").expect("written");
    let failed = in_dir(&["plugin", "build", "p"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.err.contains("[build_failed]") && failed.err.contains("plugin.c:1"), "{}", failed.err);
    assert!(!dir.path().join("p/p.wasm").exists());
}
