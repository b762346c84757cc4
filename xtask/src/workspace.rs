//! Where things are: asked of cargo, so that a target directory set anywhere is respected.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// The workspace as cargo sees it.
pub(crate) struct Workspace {
    /// The folder of the workspace's manifest.
    pub(crate) root: PathBuf,
    /// The folder for everything built.
    pub(crate) target: PathBuf,
    /// The workspace's packages as `cargo metadata` describes them.
    pub(crate) packages: Vec<Value>,
}

/// A package outside of the workspace that is built for WebAssembly.
pub(crate) struct Guest {
    /// The folder's name, which is also the package's.
    pub(crate) name: String,
    /// Its manifest.
    pub(crate) manifest: PathBuf,
}

impl Guest {
    /// Returns the file name of the component.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.wasm", self.name.replace('-', "_"))
    }
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let text = process::read(process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Value =
            serde_json::from_str(&text).context("`cargo metadata` printed something else than JSON")?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from).with_context(|| format!("no `{key}` in it"));
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            packages: metadata["packages"].as_array().cloned().context("no packages in the workspace")?,
        })
    }

    /// Returns the example plugins in Rust.
    pub(crate) fn plugins(&self) -> Result<Vec<Guest>> {
        guests(&self.root.join("plugins"))
    }

    /// Returns the folders of the example plugins in other languages than Rust.
    pub(crate) fn foreign_plugins(&self) -> Result<Vec<PathBuf>> {
        foreign(&self.root.join("plugins"))
    }

    /// Returns the folders of the tests' guests in other languages than Rust.
    pub(crate) fn foreign_guests(&self) -> Result<Vec<PathBuf>> {
        foreign(&self.root.join("tests/guests"))
    }

    /// Returns the guests that only tests use.
    pub(crate) fn test_guests(&self) -> Result<Vec<Guest>> {
        guests(&self.root.join("tests/guests"))
    }

    /// Returns the folder into which toolchains of other languages are installed.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Returns the folder in which guests are compiled: one for all, so that they share what they depend on.
    pub(crate) fn guest_target(&self) -> PathBuf {
        self.target.join("guests")
    }
}

fn guests(folder: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        let manifest = path.join("Cargo.toml");
        if let (Some(name), true) = (path.file_name().and_then(|name| name.to_str()), manifest.is_file()) {
            guests.push(Guest { name: name.to_owned(), manifest });
        }
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

fn foreign(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    folders.retain(|path| path.join("plugin.toml").is_file() && !path.join("Cargo.toml").is_file());
    folders.sort();
    Ok(folders)
}
