//! The projects that `hookmill plugin new` makes. They bring the SDK and the contract along, so that they build anywhere.

use std::path::Path;

use anyhow::Context as _;
use hookmill::core::PluginName;

use crate::args::Language;
use crate::exit_code::{FAILED, Failure};

/// Files of a folder of the repository with their text, as this program was built with them.
macro_rules! files {
    ($folder:literal: $($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../../", $folder, "/", $file)))),*]
    };
}

/// Files of a project with their templates.
macro_rules! templates {
    ($($file:literal = $template:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("templates/", $template)))),*]
    };
}

type Files = &'static [(&'static str, &'static str)];

/// The contract, and the worlds of plugins with some of its optional exports.
pub(crate) const WIT: [(&str, &str); 2] =
    [("plugin.wit", include_str!("../../../wit/plugin.wit")), ("parts.wit", include_str!("../../../wit/parts.wit"))];

/// What a project in one language is made of.
struct Project {
    /// The project's own files; `{{name}}`, `{{crate}}` and `{{extension}}` are filled in.
    own: Files,
    /// The same files as those of an example plugin.
    shared: Files,
    /// The SDK's folder, and the contract's in it.
    sdk_folder: &'static str,
    sdk: Files,
    wit: &'static str,
}

const RUST: Project = Project {
    own: templates!(
        ".gitignore" = "rust/gitignore.in",
        "Cargo.toml" = "rust/Cargo.toml.in",
        "plugin.toml" = "shared/plugin.toml.in",
        "README.md" = "rust/README.md.in",
        "src/lib.rs" = "rust/lib.rs.in",
        "tests/draft.json" = "shared/draft.json",
        "tests/quotation.json" = "shared/quotation.json",
        "hookmill-sdk/Cargo.toml" = "rust/sdk-Cargo.toml.in",
    ),
    shared: &[],
    sdk_folder: "hookmill-sdk/src",
    sdk: files!(
        "crates/hookmill-sdk/src": "bindings.rs", "call.rs", "decision.rs", "describe.rs", "event.rs", "failure.rs", "guest.rs",
        "json.rs", "lib.rs", "log.rs", "request.rs", "response.rs", "testing.rs",
    ),
    wit: "hookmill-sdk/wit",
};

const JAVASCRIPT: Project = Project {
    own: templates!(
        "package.json" = "javascript/package.json.in",
        "plugin.toml" = "shared/plugin-test.toml.in",
        "README.md" = "javascript/README.md.in",
        "src/plugin.js" = "javascript/plugin.js.in",
        "test/plugin.test.js" = "javascript/plugin.test.js.in",
        "test/draft.json" = "shared/draft.json",
        "test/quotation.json" = "shared/quotation.json",
    ),
    shared: files!("plugins/javascript-quotation-invoice": ".gitignore", "package-lock.json"),
    sdk_folder: "hookmill-sdk",
    sdk: JAVASCRIPT_SDK,
    wit: "hookmill-sdk/wit",
};

const TYPESCRIPT: Project = Project {
    own: templates!(
        "package.json" = "typescript/package.json.in",
        "plugin.toml" = "shared/plugin-test.toml.in",
        "README.md" = "javascript/README.md.in",
        "src/plugin.ts" = "typescript/plugin.ts.in",
        "test/plugin.test.ts" = "typescript/plugin.test.ts.in",
        "test/draft.json" = "shared/draft.json",
        "test/quotation.json" = "shared/quotation.json",
    ),
    shared: files!("plugins/typescript-quotation-invoice": ".gitignore", "package-lock.json", "tsconfig.json"),
    ..JAVASCRIPT
};

const JAVASCRIPT_SDK: Files = files!(
    "sdk/javascript": "README.md", "package.json", "src/check.js", "src/component.js", "src/description.js",
    "src/errors.js", "src/event.js", "src/exact.js", "src/host.js", "src/host.node.js", "src/index.d.ts",
    "src/index.js", "src/judge.js", "src/log.js", "src/testing.d.ts", "src/testing.js",
);

const PYTHON: Project = Project {
    own: templates!(
        "plugin.toml" = "shared/plugin.toml.in",
        "README.md" = "python/README.md.in",
        "pyproject.toml" = "python/pyproject.toml.in",
        "plugin.py" = "python/plugin.py.in",
        "tests/__init__.py" = "python/init.py.in",
        "tests/test_plugin.py" = "python/test_plugin.py.in",
        "tests/draft.json" = "shared/draft.json",
        "tests/quotation.json" = "shared/quotation.json",
    ),
    shared: files!("plugins/python-quotation-invoice": ".gitignore", "requirements.txt"),
    sdk_folder: "hookmill_sdk",
    sdk: files!(
        "sdk/python/hookmill_sdk": "__init__.py", "check.py", "component.py", "describe.py", "errors.py", "event.py",
        "exact.py", "judge.py", "log.py", "parts.py", "plugin.py", "py.typed", "request.py", "testing.py", "trace.py",
        "world.py",
    ),
    wit: "hookmill_sdk/wit",
};

const C: Project = Project {
    own: templates!(
        "plugin.toml" = "shared/plugin-test.toml.in",
        "README.md" = "c/README.md.in",
        "src/plugin.c" = "c/plugin.c.in",
        "test/plugin.c" = "c/test.c.in",
        "test/draft.json" = "shared/draft.json",
        "test/quotation.json" = "shared/quotation.json",
    ),
    shared: files!("plugins/c-quotation-invoice": ".gitignore", "Makefile", "requirements.txt"),
    sdk_folder: "hookmill",
    sdk: files!(
        "sdk/c": "README.md", "component.c", "contract/plugin.c", "contract/plugin.h", "hookmill.c", "hookmill.h",
        "hookmill_call.h", "hookmill_read.c", "testing.c", "testing.h", "yyjson/LICENSE", "yyjson/yyjson.c",
        "yyjson/yyjson.h",
    ),
    wit: "hookmill/wit",
};

fn project(language: Language) -> Project {
    match language {
        Language::Rust => RUST,
        Language::Javascript => JAVASCRIPT,
        Language::Typescript => TYPESCRIPT,
        Language::Python => PYTHON,
        Language::C => C,
    }
}

/// Returns the command that tests a new project with the language's own tools.
pub(crate) fn test_command(language: Language) -> &'static str {
    match language {
        Language::Rust => "cargo test",
        Language::Javascript | Language::Typescript => "npm install && npm test",
        Language::Python => "python3 -m unittest\n  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        Language::C => {
            "make test\n  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt   # if you have no zig"
        }
    }
}

/// Writes a project into `dir`, which must not exist yet; returns the files.
pub(crate) fn write_project(language: Language, name: &PluginName, dir: &Path) -> anyhow::Result<Vec<String>> {
    if dir.exists() {
        return Err(Failure::new(FAILED, "already_there", format!("{} is there already", dir.display()))
            .help("choose another name, or remove it")
            .into());
    }
    let Project { own, shared, sdk_folder, sdk, wit } = project(language);
    let crate_name = name.as_str().replace(['-', '.'], "_");
    let extension = if matches!(language, Language::Typescript) { "ts" } else { "js" };
    let filled = own.iter().map(|(file, text)| {
        let text = text.replace("{{name}}", name.as_str()).replace("{{crate}}", &crate_name);
        ((*file).to_owned(), text.replace("{{extension}}", extension))
    });
    let shared = shared.iter().map(|(file, text)| match *file {
        "package-lock.json" => ((*file).to_owned(), lock_of(name, text)),
        _ => ((*file).to_owned(), (*text).to_owned()),
    });
    let sdk = sdk.iter().map(|(file, text)| (format!("{sdk_folder}/{file}"), (*text).to_owned()));
    let wit = WIT.iter().map(|(file, text)| (format!("{wit}/{file}"), (*text).to_owned()));
    let mut written = Vec::new();
    for (file, text) in filled.chain(shared).chain(sdk).chain(wit) {
        let path = dir.join(&file);
        let parent = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(parent).with_context(|| format!("{} can't be made", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
        written.push(file);
    }
    Ok(written)
}

/// Makes the lock of an example's packages that of a new project, which has the SDK within it and no license yet.
fn lock_of(name: &PluginName, example: &str) -> String {
    let own = example.replacen("      \"license\": \"MIT OR Apache-2.0\",\n", "", 1);
    let own = own.replace("../../sdk/javascript", "hookmill-sdk").replace("      \"name\": \"hookmill-sdk\",\n", "");
    let names = ["javascript-quotation-invoice", "typescript-quotation-invoice"];
    names.iter().fold(own, |own, example| own.replace(example, name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects the files below a folder that belong to an SDK, with their paths from `root`.
    fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("the SDK is there") {
            let path = entry.expect("a file").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
            let other = ["test", "tests", "tests.rs", "wit", "build", "__pycache__", "Makefile", ".gitignore"];
            if other.contains(&name) {
                continue;
            }
            if path.is_dir() {
                collect(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).expect("below").to_str().expect("UTF-8").replace('\\', "/"));
            }
        }
    }

    #[test]
    fn a_project_gets_every_file_of_the_sdk() {
        for (folder, project) in [
            ("crates/hookmill-sdk/src", RUST),
            ("sdk/javascript", JAVASCRIPT),
            ("sdk/javascript", TYPESCRIPT),
            ("sdk/python/hookmill_sdk", PYTHON),
            ("sdk/c", C),
        ] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
            let mut found = Vec::new();
            collect(&root, &root, &mut found);
            for file in found {
                assert!(project.sdk.iter().any(|(listed, _)| *listed == file), "{folder}/{file} is not in the list");
            }
        }
    }
}
