//! Checks that crates depend on each other only as drawn in ARCHITECTURE.md, and that all of them keep the lints.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::workspace::Workspace;

/// Every arrow between crates: who may depend on whom. Test code may depend on anything.
const ARROWS: &[(&str, &[&str])] = &[
    ("hookmill-cli", &["hookmill-server", "hookmill"]),
    ("hookmill-server", &["hookmill"]),
    ("hookmill", &["hookmill-store", "hookmill-plugin", "hookmill-render", "hookmill-delivery", "hookmill-core"]),
    ("hookmill-store", &["hookmill-core"]),
    ("hookmill-plugin", &["hookmill-core"]),
    ("hookmill-render", &["hookmill-core"]),
    ("hookmill-delivery", &["hookmill-core"]),
    ("hookmill-core", &[]),
    ("hookmill-sdk", &[]),
    ("hookmill-testing", &["hookmill-core"]),
    ("hookmill-tests", &[]),
    ("xtask", &[]),
];

/// Fails if anything in the workspace breaks the drawing.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut wrong = arrows(&workspace.packages);
    for package in &workspace.packages {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let text = fs::read_to_string(manifest).with_context(|| format!("{manifest} can't be read"))?;
        if !keeps_lints(&text) {
            wrong.push(format!("{} lacks `[lints] workspace = true`", package["name"]));
        }
    }
    if wrong.is_empty() {
        println!("layers: {} crates depend on each other as drawn", workspace.packages.len());
        return Ok(());
    }
    bail!("the layers are broken:\n  {}", wrong.join("\n  "));
}

/// Returns what is wrong with the arrows.
fn arrows(packages: &[Value]) -> Vec<String> {
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap_or_default();
        let Some((_, drawn)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == from) else {
            wrong.push(format!("{from} is not in the drawing; if it must be, add it to ARROWS and ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let in_tests = dependency["kind"] == "dev";
            if names.contains(&to) && !in_tests && !drawn.contains(&to) {
                wrong.push(format!("{from} → {to} is not drawn"));
            }
        }
    }
    wrong
}

/// Tells whether a manifest takes the workspace's lints.
fn keeps_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')).is_some_and(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(from: &str, to: &str, kind: Value, expected: &[&str]) {
        let packages = [
            json!({"name": from, "dependencies": [{"name": to, "kind": kind}, {"name": "serde", "kind": null}]}),
            json!({"name": to, "dependencies": []}),
        ];
        assert_eq!(arrows(&packages), expected);
    }

    #[test]
    fn drawn_arrows_pass() {
        check("hookmill-cli", "hookmill-server", Value::Null, &[]);
        check("hookmill", "hookmill-core", Value::Null, &[]);
        check("hookmill-store", "hookmill-testing", json!("dev"), &[]);
    }

    #[test]
    fn other_arrows_fail() {
        check("hookmill-store", "hookmill-plugin", Value::Null, &["hookmill-store → hookmill-plugin is not drawn"]);
        check("hookmill-core", "hookmill-store", json!("build"), &["hookmill-core → hookmill-store is not drawn"]);
        check("hookmill", "hookmill-testing", Value::Null, &["hookmill → hookmill-testing is not drawn"]);
        check("hookmill-server", "hookmill-core", Value::Null, &["hookmill-server → hookmill-core is not drawn"]);
    }

    #[test]
    fn unknown_crates_fail() {
        let wrong = arrows(&[json!({"name": "hookmill-utils", "dependencies": []})]);
        assert!(wrong[0].starts_with("hookmill-utils is not in the drawing"), "{wrong:?}");
    }

    #[test]
    fn lints_must_be_the_workspaces() {
        assert!(keeps_lints("[package]\n\n[lints]\n# All of them.\nworkspace = true\n"));
        assert!(!keeps_lints("[package]\n[lints]\n[dependencies]\nworkspace = true\n"));
        assert!(!keeps_lints("[package]\nname = \"a\"\n"));
    }
}
