//! Installs what other languages than Rust need into `target/tools` and the projects' own folders, and runs their tests.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use crate::workspace::Workspace;

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };

/// Folders and files that tools make inside of a project.
const MADE_BY_TOOLS: [&str; 4] = ["node_modules", "build", ".venv", "__pycache__"];

/// Installs what a project needs, unless that was done, and returns the path on which its tools are found.
pub(crate) fn provide(workspace: &Workspace, project: &Path) -> Result<OsString> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if project.join("package-lock.json").is_file() {
        let installed = project.join("node_modules");
        let inputs = [project.join("package.json"), project.join("package-lock.json")];
        let stamp = Stamp::of(&inputs, installed.join(".hookmill.stamp"))?;
        if !stamp.holds() {
            process::run(Command::new(NPM).current_dir(project).args(["ci", "--no-audit", "--no-fund"]))
                .context("Node.js 20 or later with npm is needed for the plugins in JavaScript and TypeScript")?;
            stamp.set()?;
        }
    }
    let requirements = project.join("requirements.txt");
    if requirements.is_file() {
        folders.push(environment(workspace, &requirements)?);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    std::env::join_paths(folders).context("a folder's name can't be part of PATH")
}

/// Makes the Python environment of these requirements, which projects share, and returns the folder of its programs.
fn environment(workspace: &Workspace, requirements: &Path) -> Result<PathBuf> {
    let inputs = [requirements];
    let digest = Stamp::of(&inputs, PathBuf::new())?.digest;
    let folder = workspace.tools().join(format!("python-{digest}"));
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let stamp = Stamp::of(&inputs, folder.join("hookmill.stamp"))?;
    if !stamp.holds() {
        process::run(Command::new(PYTHON).args(["-m", "venv"]).arg(&folder)).context(
            "Python 3 with its module venv is needed for the plugins in Python and C, and for the Frappe app",
        )?;
        let mut pip = Command::new(programs.join("pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        process::run(pip.arg(requirements))?;
        stamp.set()?;
    }
    Ok(programs)
}

/// Runs the tests of a project or an SDK with its language's own tool.
pub(crate) fn test(workspace: &Workspace, project: &Path) -> Result<()> {
    let path = provide(workspace, project)?;
    let mut command = if project.join("package.json").is_file() {
        let mut npm = Command::new(NPM);
        npm.arg("test");
        npm
    } else if project.join("pyproject.toml").is_file() {
        let mut python = Command::new(PYTHON);
        python.args(["-m", "unittest"]);
        python
    } else {
        let mut make = Command::new("make");
        make.arg("test");
        make
    };
    process::run(command.current_dir(project).env("PATH", path))
}

/// Returns a Python that has what the Frappe app's tests need, as Frappe's own has.
pub(crate) fn frappes_python(workspace: &Workspace) -> Result<PathBuf> {
    Ok(environment(workspace, &frappe_app(workspace).join("tests/requirements.txt"))?.join(PYTHON))
}

/// Runs the Frappe app's tests against this `hookmill`.
pub(crate) fn test_frappe_app(workspace: &Workspace, hookmill: &Path) -> Result<()> {
    let mut tests = Command::new(frappes_python(workspace)?);
    tests.args(["-m", "unittest"]).current_dir(frappe_app(workspace)).env("HOOKMILL_BIN", hookmill);
    process::run(&mut tests)
}

fn frappe_app(workspace: &Workspace) -> PathBuf {
    workspace.root.join("integrations/frappe")
}

/// What a file or folder was made from, to be made again only when that changes.
pub(crate) struct Stamp {
    file: PathBuf,
    digest: String,
}

impl Stamp {
    /// Reads the inputs; what tools made in between is left out.
    pub(crate) fn of(inputs: &[impl AsRef<Path>], file: PathBuf) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        for input in inputs {
            hash(input.as_ref(), &mut hasher).with_context(|| format!("{} can't be read", input.as_ref().display()))?;
        }
        Ok(Self { file, digest: format!("{:016x}", hasher.finish()) })
    }

    /// Tells whether the inputs are those of the last time.
    pub(crate) fn holds(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text == self.digest)
    }

    /// Notes that the work is done.
    pub(crate) fn set(&self) -> Result<()> {
        fs::write(&self.file, &self.digest).with_context(|| format!("{} can't be written", self.file.display()))
    }
}

fn hash(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    if !path.is_dir() {
        fs::read(path)?.hash(hasher);
        return Ok(());
    }
    // A link leads to an SDK or the contract, which are inputs of their own.
    if path.is_symlink() {
        return Ok(());
    }
    let mut names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let made = MADE_BY_TOOLS.iter().any(|made| name == *made)
            || Path::new(&name).extension().is_some_and(|is| is == "wasm");
        if !made {
            name.hash(hasher);
            hash(&path.join(&name), hasher)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_an_input_changes() {
        let folder = std::env::temp_dir().join(format!("hookmill-stamp-{}", std::process::id()));
        let project = folder.join("project");
        fs::create_dir_all(project.join("node_modules")).unwrap();
        fs::write(project.join("a.js"), "1").unwrap();
        let stamp = || Stamp::of(&[&project], folder.join("stamp")).unwrap();
        assert!(!stamp().holds());
        stamp().set().unwrap();
        assert!(stamp().holds());
        fs::write(project.join("node_modules/b.js"), "made by a tool").unwrap();
        fs::write(project.join("a.wasm"), "made by a tool").unwrap();
        assert!(stamp().holds());
        fs::write(project.join("a.js"), "2").unwrap();
        assert!(!stamp().holds());
        fs::remove_dir_all(folder).unwrap();
    }
}
