//! A plugin project whose build takes no time: its tools copy a component that is built already.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ended, command, component, ended};

/// A project in a folder of its own.
pub(crate) struct Project {
    dir: TempDir,
    /// Where files are written before they are put in place, so that nobody sees half of one.
    unfinished: TempDir,
}

impl Project {
    /// Makes a project of this name that is built into `file`.
    pub(crate) fn new(name: &str, file: &str) -> Self {
        let project = Self { dir: TempDir::new().expect("a folder"), unfinished: TempDir::new().expect("a folder") };
        project.write("plugin.toml", &format!("name = \"{name}\"\nversion = \"0.1.0\"\n"));
        project.build_into(file);
        project
    }

    /// Has its tools make another component from now on.
    pub(crate) fn build_into(&self, file: &str) {
        let component = component(file).canonicalize().expect("a file");
        let component = component.to_str().expect("UTF-8");
        self.write("Makefile", &format!("core.wasm: Makefile\n\tcp \"{component}\" core.wasm\n"));
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes a file of the project, as a whole.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let unfinished = self.unfinished.path().join("file");
        std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, path)).expect("written");
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).expect("a file")
    }

    /// Writes the fixture `tests/NAME.json`.
    pub(crate) fn fixture(&self, name: &str, fixture: &Value) {
        self.write(&format!("tests/{name}.json"), &format!("{fixture:#}\n"));
    }

    /// Returns a command that runs in the project.
    pub(crate) fn command(&self) -> Command {
        let mut command = command();
        // The tools find the compiler that they do not use.
        command.current_dir(self.dir.path()).env("ZIG", "true");
        command
    }

    /// Runs a command in the project.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(self.command().args(args), "")
    }
}
