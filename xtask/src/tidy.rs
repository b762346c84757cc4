//! Checks the rules that no compiler knows. A rule that is not checked does not last.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// From here on, a source file deserves a look.
const LINES_LONG: usize = 400;
/// Nobody reads more than this in one go.
const LINES_MAX: usize = 800;
/// A blob stays in the history for ever.
const BLOB_BYTES_MAX: usize = 256 * 1024;
/// The contract's text as it was frozen.
const FROZEN_CONTRACT: &str = include_str!("../golden/plugin.wit");

/// Words that stand for work not done, split so that this file passes its own check.
const UNFINISHED: [&str; 4] =
    [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("#[ig", "nore"), concat!("db", "g!(")];
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

/// Fails if any file breaks a rule; names long files without failing.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let root = &workspace.root;
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listing = process::read(&mut git).context("the files can't be listed")?;
    let mut wrong = Vec::new();
    let mut files = 0;
    for path in listing.split_terminator('\0') {
        // A file that was deleted but not yet committed is still listed.
        let Ok(content) = fs::read(root.join(path)) else { continue };
        files += 1;
        match std::str::from_utf8(&content) {
            Ok(text) => {
                wrong.extend(check_text(path, text));
                let lines = text.lines().count();
                if is_rust(path) && (LINES_LONG + 1..=LINES_MAX).contains(&lines) {
                    println!("  {path} has {lines} lines; can it be cut?");
                }
            }
            Err(_) if content.len() > BLOB_BYTES_MAX => {
                wrong.push(format!("{path} is a blob of {} KB", content.len() / 1000));
            }
            Err(_) => {}
        }
    }
    if fs::read_to_string(root.join("wit/plugin.wit"))? != FROZEN_CONTRACT {
        wrong.push("wit/plugin.wit is frozen: what must change goes into a package of a new version".to_owned());
    }
    wrong.extend(untested_guests(workspace)?);
    if wrong.is_empty() {
        println!("tidy: {files} files keep the rules");
        return Ok(());
    }
    bail!("the rules in CONTRIBUTING.md are broken:\n  {}", wrong.join("\n  "));
}

/// Returns what is wrong with a file of text.
fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if is_rust(path) {
        if !text.starts_with("//!") {
            wrong.push(format!("{path} does not open with `//!` docs"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{path} has {lines} lines, more than {LINES_MAX}"));
        }
    }
    for (number, line) in (1..).zip(text.lines()) {
        if is_source(path) {
            wrong.extend(
                UNFINISHED
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{path}:{number} has {word}")),
            );
        }
        wrong.extend(
            MACHINE_PATHS
                .iter()
                .filter(|start| names_path(line, start))
                .map(|start| format!("{path}:{number} names a path under {start}")),
        );
    }
    wrong
}

fn is_rust(path: &str) -> bool {
    extension(path) == "rs"
}

fn is_source(path: &str) -> bool {
    matches!(extension(path), "rs" | "wit" | "toml" | "js" | "ts" | "py" | "c" | "h" | "html" | "css")
}

fn extension(path: &str) -> &str {
    Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Tells whether a line has an absolute path with this start; in `example.com/home/` it is not one.
fn names_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line.as_bytes().get(..at).and_then(<[u8]>::last);
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"._-/}".contains(byte))
    })
}

/// Returns the guests that no test names: a guest that nobody runs proves nothing.
fn untested_guests(workspace: &Workspace) -> Result<Vec<String>> {
    let mut tests = String::new();
    read_all(&workspace.root.join("tests/it"), &mut tests)?;
    let rust = workspace.test_guests()?.into_iter().map(|guest| guest.name);
    let foreign = workspace.foreign_guests()?;
    let foreign = foreign.iter().filter_map(|folder| folder.file_name()?.to_str().map(|name| name.replace('-', "_")));
    let untested = rust.chain(foreign).filter(|name| !tests.contains(name));
    Ok(untested.map(|name| format!("the guest {name} in tests/guests is named by no test in tests/it")).collect())
}

fn read_all(folder: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy_text_passes() {
        assert_eq!(check_text("a.rs", "//! Docs.\nfn f() {}\n"), Vec::<String>::new());
        assert_eq!(
            check_text("a.md", &format!("What a {} means, see example.com/home/x", UNFINISHED[1])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn breaches_are_named_with_their_line() {
        let check = |path: &str, text: &str, expected: &str| assert_eq!(check_text(path, text), [expected]);
        check("a.rs", "fn f() {}\n", "a.rs does not open with `//!` docs");
        check("a.rs", &format!("//!\n{}", "\n".repeat(LINES_MAX)), "a.rs has 801 lines, more than 800");
        for word in UNFINISHED {
            check("a.rs", &format!("//!\n{word}x)]\n"), &format!("a.rs:2 has {word}"));
        }
        for start in MACHINE_PATHS {
            check("a.md", &format!("see `{start}x`"), &format!("a.md:1 names a path under {start}"));
        }
    }
}
