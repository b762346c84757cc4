//! The projects that `hookmill plugin new` makes. They bring the SDK and the contract along, so that they build anywhere.

use std::path::Path;

use anyhow::Context as _;
use hookmill::core::PluginName;

use crate::args::Language;
use crate::exit_code::{FAILED, Failure};

macro_rules! sdk {
    ($($file:literal),* $(,)?) => {
        &[$((concat!("src/", $file), include_str!(concat!("../../hookmill-sdk/src/", $file)))),*]
    };
}

/// The SDK's sources, as this program was built with them.
const SDK: &[(&str, &str)] = sdk![
    "bindings.rs",
    "call.rs",
    "decision.rs",
    "event.rs",
    "failure.rs",
    "guest.rs",
    "json.rs",
    "lib.rs",
    "log.rs",
    "request.rs",
    "testing.rs",
];

pub(crate) const WIT: &str = include_str!("../../../wit/plugin.wit");

/// The project's own files; `{{name}}` and `{{crate}}` are filled in.
const RUST: &[(&str, &str)] = &[
    (".gitignore", "/target\n/*.wasm\n"),
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.in")),
    ("plugin.toml", include_str!("templates/rust/plugin.toml.in")),
    ("README.md", include_str!("templates/rust/README.md.in")),
    ("src/lib.rs", include_str!("templates/rust/lib.rs.in")),
    ("tests/quotation.json", include_str!("templates/rust/quotation.json")),
    ("hookmill-sdk/Cargo.toml", include_str!("templates/rust/sdk-Cargo.toml.in")),
];

/// Writes a project into `dir`, which must not exist yet; returns the files.
pub(crate) fn write_project(language: Language, name: &PluginName, dir: &Path) -> anyhow::Result<Vec<String>> {
    let Language::Rust = language;
    if dir.exists() {
        return Err(Failure::new(FAILED, "already_there", format!("{} is there already", dir.display()))
            .help("choose another name, or remove it")
            .into());
    }
    let crate_name = name.as_str().replace(['-', '.'], "_");
    let filled = RUST.iter().map(|(file, text)| {
        (file.to_string(), text.replace("{{name}}", name.as_str()).replace("{{crate}}", &crate_name))
    });
    let sdk = SDK.iter().map(|(file, text)| (format!("hookmill-sdk/{file}"), (*text).to_owned()));
    let wit = [("hookmill-sdk/wit/plugin.wit".to_owned(), WIT.to_owned())];
    let mut written = Vec::new();
    for (file, text) in filled.chain(sdk).chain(wit) {
        let path = dir.join(&file);
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent).with_context(|| format!("{} can't be made", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
        written.push(file);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_gets_every_file_of_the_sdk() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hookmill-sdk/src");
        for entry in std::fs::read_dir(sources).expect("the SDK is there") {
            let name = entry.expect("a file").file_name().into_string().expect("UTF-8");
            if name != "tests.rs" {
                assert!(SDK.iter().any(|(file, _)| *file == format!("src/{name}")), "{name} is not in the list");
            }
        }
    }
}
