//! Every code that a user may meet is explained in docs/api.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The crates whose errors reach answers and attempts. The command line's own codes are in docs/cli.md.
const CRATES: [&str; 7] = [
    "hookmill",
    "hookmill-core",
    "hookmill-delivery",
    "hookmill-plugin",
    "hookmill-render",
    "hookmill-server",
    "hookmill-store",
];

/// Calls and fields that a code is given to, as its first text.
const BEFORE_A_CODE: [&str; 5] = ["Problem::new(", "fault(", "refused(", "code: ", "self.template("];

/// Beginnings that only codes have.
const FAMILIES: [&str; 5] = ["plugin_", "send_", "store_", "token_", "address_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn is_code(text: &str) -> bool {
    text.len() > 4 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !text.ends_with('_')
}

/// Returns the texts in quotes.
fn quoted(source: &str) -> impl Iterator<Item = &str> {
    source.split('"').skip(1).step_by(2)
}

/// Returns the part of `source` up to where the bracket that is open at its begin closes.
fn to_closing(source: &str) -> &str {
    let mut depth = 1;
    let end = source.find(|character| {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    source.get(..end.unwrap_or(source.len())).expect("a boundary")
}

fn codes_in(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]").next().expect("a first part");
    let methods = source.split("fn code(&self)").skip(1).filter_map(|rest| Some(to_closing(rest.split_once('{')?.1)));
    let mut codes: Vec<&str> = methods.flat_map(quoted).filter(|text| is_code(text)).collect();
    for before in BEFORE_A_CODE {
        let given = source.split(before).skip(1).filter_map(|rest| quoted(to_closing(rest)).find(|text| is_code(text)));
        codes.extend(given.filter(|code| code.contains('_') || before == "Problem::new("));
    }
    codes.extend(quoted(source).filter(|text| is_code(text) && FAMILIES.iter().any(|family| text.starts_with(family))));
    codes
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("tests.rs") {
            found.push(entry);
        }
    }
}

#[test]
fn every_code_of_the_sources_is_in_the_docs() {
    let docs = std::fs::read_to_string(root().join("docs/api.md")).expect("docs/api.md");
    let mut files = Vec::new();
    CRATES.iter().for_each(|name| sources(&root().join("crates").join(name).join("src"), &mut files));
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    // Tests of stores make codes up, and metrics have names of the same look.
    files.retain(|file| !file.to_string_lossy().contains("conformance") && !file.ends_with("metrics.rs"));
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source");
        used.extend(codes_in(&source).into_iter().map(|code| (code.to_owned(), file.clone())));
    }
    for known in [
        "unauthorized",
        "overloaded",
        "events_refused",
        "plugin_trap",
        "url_template_failed",
        "send_dns",
        "invalid_name",
    ] {
        assert!(used.contains_key(known), "the search misses {known}: {:?}", used.keys());
    }
    let missing: Vec<_> = used.iter().filter(|(code, _)| !docs.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "missing in docs/api.md: {missing:#?}");
}
