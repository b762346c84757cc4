//! A plugin project: its manifest, its fixtures, and the component that is built of both.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hookmill::core::{EventId, JsonText};
use hookmill::plugin::{Draft, Fixture, Inspection, Manifest, PluginLimits, inspect};
use hookmill::{EventEnvelope, TenantId};
use jiff::Timestamp;
use serde_json::json;

use super::plugin::{read_component, refused};
use super::{event_in, plugin_build};
use crate::exit_code::{FAILED, Failure, PLUGIN, USAGE};

/// The directory of fixtures, where the manifest names none.
const TESTS: &str = "tests";

/// A directory with a `plugin.toml`.
#[derive(Debug)]
pub(crate) struct Project {
    dir: PathBuf,
    manifest_text: String,
    pub(crate) manifest: Manifest,
}

/// A fixture and the file that it is in.
#[derive(Debug)]
pub(crate) struct FixtureFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) fixture: Fixture,
}

/// What a project was built into.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it was written.
    pub(crate) file: PathBuf,
    /// The whole component, fixtures and all.
    pub(crate) component: Vec<u8>,
    pub(crate) inspection: Inspection,
    /// The component before the fixtures came in.
    pub(crate) plain: Vec<u8>,
}

impl Project {
    /// Opens the project in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let file = dir.join("plugin.toml");
        let manifest_text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::new(USAGE, "not_a_project", format!("{} can't be read: {error}", file.display()))
                .help("run it in a plugin project, or make one with `hookmill plugin new NAME`")
        })?;
        let manifest = Manifest::parse(&manifest_text).map_err(|error| Failure::explained(PLUGIN, &error))?;
        Ok(Self { dir: dir.to_owned(), manifest_text, manifest })
    }

    /// Returns the directory of its fixtures.
    pub(crate) fn tests_dir(&self) -> PathBuf {
        self.dir.join(self.manifest.tests.as_deref().unwrap_or(TESTS))
    }

    /// Returns where its component is written, unless the user says otherwise.
    pub(crate) fn component_file(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.manifest.name))
    }

    /// Reads the fixtures, in the order of their names. All that can't be read are named at once.
    ///
    /// A project needs no tests directory, but one that its manifest names must be there.
    pub(crate) fn fixtures(&self) -> anyhow::Result<Vec<FixtureFile>> {
        let dir = self.tests_dir();
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.manifest.tests.is_none() => {
                return Ok(vec![]);
            }
            Err(error) => {
                return Err(Failure::new(FAILED, "no_fixtures", format!("{} can't be read: {error}", dir.display()))
                    .help("make the directory, or correct `tests` in plugin.toml")
                    .into());
            }
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("{} can't be read", dir.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        let (mut fixtures, mut wrong) = (Vec::new(), Vec::new());
        for path in files {
            match read_fixture(&path) {
                Ok(fixture) => fixtures.push(fixture),
                Err(cause) => wrong.push((path, cause)),
            }
        }
        if wrong.is_empty() { Ok(fixtures) } else { Err(bad_fixtures(&wrong).into()) }
    }

    /// Runs the tools of the project's language, and writes the component with manifest and fixtures to `out`.
    pub(crate) fn build(&self, fixtures: &[FixtureFile], out: Option<&Path>) -> anyhow::Result<Built> {
        let (made, component) = plugin_build::compile(&self.dir)?;
        let plain =
            Manifest::embed(&self.manifest_text, &component).map_err(|error| Failure::explained(PLUGIN, &error))?;
        self.write(plain, fixtures, out, &made)
    }

    /// Writes the component with other fixtures than it was built with.
    pub(crate) fn rewrite(&self, plain: Vec<u8>, fixtures: &[FixtureFile]) -> anyhow::Result<Built> {
        self.write(plain, fixtures, None, &self.component_file())
    }

    fn write(
        &self,
        plain: Vec<u8>,
        fixtures: &[FixtureFile],
        out: Option<&Path>,
        made: &Path,
    ) -> anyhow::Result<Built> {
        let component = if fixtures.is_empty() {
            plain.clone()
        } else {
            let fixtures: Vec<Fixture> = fixtures.iter().map(|file| file.fixture.clone()).collect();
            Fixture::embed(&fixtures, &plain).map_err(|error| Failure::explained(PLUGIN, &error))?
        };
        let inspection = inspect(&component, &PluginLimits::default()).map_err(|error| refused(made, &error))?;
        let file = out.map_or_else(|| self.component_file(), Path::to_owned);
        std::fs::write(&file, &component).with_context(|| format!("{} can't be written", file.display()))?;
        Ok(Built { file, component, inspection, plain })
    }
}

fn read_fixture(path: &Path) -> Result<FixtureFile, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("its name is not UTF-8")?;
    let fixture = match Fixture::parse(name, text.as_bytes()) {
        Ok(fixture) => fixture,
        Err(_) if is_bare_event(&text) => {
            return Err("it is an event, not a fixture: put it under the key `event`".into());
        }
        Err(error) => return Err(error.cause().to_owned()),
    };
    Ok(FixtureFile { path: path.to_owned(), text, fixture })
}

/// Tells whether a text is an event as `POST /v1/events` takes it.
fn is_bare_event(text: &str) -> bool {
    EventEnvelope::parse(text.as_bytes()).is_ok()
}

fn bad_fixtures(wrong: &[(PathBuf, String)]) -> Failure {
    let lines: String = wrong.iter().map(|(path, cause)| format!("\n  {}: {cause}", path.display())).collect();
    let count = wrong.len();
    let message = format!("{count} {} can't be read:{lines}", if count == 1 { "fixture" } else { "fixtures" });
    let mut failure = Failure::new(PLUGIN, "plugin_bad_fixture", message).help(
        "a fixture is a JSON object with `event`, and may have `settings`, `draft`, `grants` and `expect`; what is \
         no fixture goes into another directory",
    );
    failure.errors = wrong.iter().map(|(path, cause)| json!({"file": path, "message": cause})).collect();
    failure
}

/// A component, given as a file or as the project that it is built of.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What can be said of it without running it.
    pub(crate) inspection: Inspection,
    /// The component without fixtures, which runs whether it meets them or not.
    pub(crate) plain: Vec<u8>,
    /// Its fixtures.
    pub(crate) fixtures: Vec<Fixture>,
}

impl Subject {
    /// Reads a component, or builds the project in a directory.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            return Self::read(path);
        }
        let project = Project::open(path)?;
        let fixtures = project.fixtures()?;
        let Built { inspection, plain, .. } = project.build(&fixtures, None)?;
        let fixtures = fixtures.into_iter().map(|file| file.fixture).collect();
        Ok(Self { inspection, plain, fixtures })
    }

    /// Reads a component.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let (wasm, inspection) = read_component(file)?;
        let plain = Fixture::strip(&wasm).map_err(|error| Failure::explained(PLUGIN, &error))?;
        let fixtures = inspection.fixtures.clone();
        Ok(Self { inspection, plain, fixtures })
    }
}

/// Makes a fixture of a file that holds one, or of a bare event.
pub(crate) fn read_case(text: &[u8]) -> Result<Fixture, Failure> {
    let unreadable = |message: String| {
        Failure::new(USAGE, "event_malformed", message)
            .help("an event is {\"doctype\", \"doc_event\", \"doc\"}; a fixture has it under `event`")
    };
    if std::str::from_utf8(text).is_ok_and(|text| event_in(text).len() < text.len()) {
        return Fixture::parse("event", text).map_err(|error| unreadable(error.to_string()));
    }
    let id = || EventId::new("event").expect("a valid id");
    EventEnvelope::parse(text)
        .and_then(|envelope| envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id))
        .map_err(|error| Failure::explained(FAILED, &error))?;
    let json = |text: &str| JsonText::parse(text).map_err(|error| unreadable(error.to_string()));
    Ok(Fixture {
        name: "event".into(),
        event: json(&String::from_utf8_lossy(text))?,
        settings: json("{}")?,
        draft: Draft::default(),
        grants: vec![],
        expect: None,
    })
}
