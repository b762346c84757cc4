//! A disk that fails when it is told to, under a process of its own. Knows calls of the system, not what they mean.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// The shim, built once for each process of tests.
static SHIM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = TempDir::new().expect("a folder");
    let (source, library) = (dir.path().join("shim.c"), dir.path().join("shim.so"));
    std::fs::write(&source, include_str!("disk/shim.c")).expect("written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).args(["-ldl", "-lpthread"]);
    let output = cc.output().expect("a C compiler is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (dir, library)
});

/// Returns the library that watches a directory and lets calls fail; the head of `disk/shim.c` says how it is told.
pub fn disk_shim() -> &'static Path {
    &SHIM.1
}

/// A data directory whose disk fails from [`FailingDisk::fail`] to [`FailingDisk::recover`], for one program.
#[derive(Debug)]
pub struct FailingDisk {
    home: TempDir,
}

impl Default for FailingDisk {
    fn default() -> Self {
        Self { home: TempDir::new().expect("a folder") }
    }
}

impl FailingDisk {
    /// Returns the data directory, which is yet to be made.
    pub fn data(&self) -> PathBuf {
        self.home.path().canonicalize().expect("it is there").join("data")
    }

    fn switch(&self) -> PathBuf {
        self.home.path().join("fails")
    }

    /// Lets a program that is about to be started meet this fault, in the words of `DISK_FAULT`.
    pub fn put_under(&self, program: &mut Command, fault: &str) {
        program.env("LD_PRELOAD", disk_shim()).env("DISK_DIR", self.data());
        program.env("DISK_WHILE", self.switch()).env("DISK_FAULT", fault);
    }

    /// Lets the disk fail from now on.
    pub fn fail(&self) {
        std::fs::write(self.switch(), "").expect("written");
    }

    /// Lets the disk work again.
    pub fn recover(&self) {
        std::fs::remove_file(self.switch()).expect("it failed");
    }
}
