//! Everything that may be wrong with a component, each with its code and what to do about it.

use std::fmt;

use hookmill_core::{Explain, Fault};

/// Why a plugin was not taken: every problem that was found, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadPluginError {
    problems: Vec<LoadProblem>,
}

impl LoadPluginError {
    pub(crate) fn new(problems: Vec<LoadProblem>) -> Self {
        Self { problems }
    }

    /// Returns the problems, the gravest first.
    pub fn problems(&self) -> &[LoadProblem] {
        &self.problems
    }

    /// Tells whether the host was at fault, and the same component may be taken another time.
    pub fn is_the_hosts(&self) -> bool {
        self.problems.iter().any(|problem| matches!(problem, LoadProblem::Host { .. }))
    }

    fn first(&self) -> &LoadProblem {
        self.problems.first().expect("an error is made from at least one problem")
    }
}

impl From<LoadProblem> for LoadPluginError {
    fn from(problem: LoadProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for LoadPluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if place == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadPluginError {}

impl Explain for LoadPluginError {
    fn code(&self) -> &'static str {
        self.first().code()
    }

    fn help(&self) -> Option<String> {
        self.first().help()
    }
}

/// One thing that is wrong with a component.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadProblem {
    /// It is larger than the limit.
    #[error("the file has {bytes} bytes, more than the {bytes_max} that a component may have")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It does not begin as WebAssembly does.
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// It is a core module, not a component.
    #[error("the file is a core WebAssembly module, not a component")]
    CoreModule,
    /// It breaks the rules of WebAssembly.
    #[error("the file is damaged at byte {offset}: {cause}")]
    Corrupt {
        /// Where.
        offset: u64,
        /// What is wrong there.
        cause: String,
    },
    /// It has so many imports and exports, or such long names of them, that nobody could read them.
    #[error("the component has {count} imports and exports, whose names have {bytes} bytes; no plugin needs as many")]
    TooManyNames {
        /// How many.
        count: usize,
        /// Bytes of their names together.
        bytes: usize,
    },
    /// It does not export `transform`.
    #[error("the component does not export `hookmill:plugin/transform@1.0.0`; it exports {}", list(.exports))]
    MissingExport {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It exports `transform` of a contract that this version does not speak.
    #[error("the component exports `{export}`, which this hookmill does not speak")]
    OtherContract {
        /// The export.
        export: String,
    },
    /// It exports `transform` with other types than the contract's.
    #[error("the component's exports or imports have other types than the contract's: {cause}")]
    OtherTypes {
        /// Where they differ.
        cause: String,
    },
    /// It needs something that plugins are not given.
    #[error("the component imports `{import}`, which plugins are not given")]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// Its manifest can't be used.
    #[error("the embedded plugin.toml can't be read: {cause}")]
    BadManifest {
        /// What is wrong.
        cause: String,
    },
    /// The compiler refused it.
    #[error("the component can't be compiled: {cause}")]
    CompileFailed {
        /// The compiler's words.
        cause: String,
    },
    /// Compiling it took more than the limits allow.
    #[error("compiling the component took more than {cpu_secs} s of CPU time or {memory_mib} MiB of memory")]
    CompileLimit {
        /// The limit of CPU time.
        cpu_secs: u64,
        /// The limit of memory.
        memory_mib: u64,
    },
    /// Compiling it took longer than anything may.
    #[error("compiling the component took more than {secs} s")]
    CompileTime {
        /// The limit.
        secs: u64,
    },
    /// It can't be started, or fails before it answers.
    #[error("the component does not start: {}", .0.message)]
    DoesNotStart(Fault),
    /// It fails to describe itself.
    #[error("the component does not describe itself: {}", .0.message)]
    DoesNotDescribe(Fault),
    /// Its fixtures can't be used.
    #[error("the embedded fixtures can't be used: {cause}")]
    BadFixtures {
        /// What is wrong.
        cause: String,
    },
    /// It does not meet a fixture that it brought along.
    #[error("the component does not meet its fixture {name:?}: {}", .differences.join("; "))]
    FixtureNotMet {
        /// The fixture.
        name: String,
        /// What differs.
        differences: Vec<String>,
    },
    /// Its fixtures together cost more than a trial may.
    #[error("running the component on its fixtures, three times each, took more than {fuel_max} units of fuel")]
    TrialTooCostly {
        /// The limit.
        fuel_max: u64,
    },
    /// The same event gave different bytes.
    #[error("the component gave different answers to the same event")]
    NotDeterministic,
    /// An instance that was kept gave other bytes than a fresh one.
    #[error(
        "the component gave another answer in an instance that was kept, as its manifest asks for with `warm`, than in a fresh one"
    )]
    NotReusable,
    /// The host itself was at fault.
    #[error("the host failed to {attempted}: {cause}")]
    Host {
        /// To be read after "failed to".
        attempted: &'static str,
        /// The cause.
        cause: String,
    },
}

/// Names that are listed in a message.
const LISTED_MAX: usize = 20;

fn list(exports: &[String]) -> String {
    let listed = exports.iter().take(LISTED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match exports.len().saturating_sub(LISTED_MAX) {
        _ if exports.is_empty() => "nothing".into(),
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

impl Explain for LoadProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "plugin_too_large",
            Self::NotWasm => "plugin_not_wasm",
            Self::CoreModule => "plugin_core_module",
            Self::Corrupt { .. } => "plugin_corrupt",
            Self::TooManyNames { .. } => "plugin_too_many_names",
            Self::MissingExport { .. } => "plugin_missing_export",
            Self::OtherContract { .. } => "plugin_other_contract",
            Self::OtherTypes { .. } => "plugin_other_types",
            Self::UnknownImport { .. } => "plugin_unknown_import",
            Self::BadManifest { .. } => "plugin_bad_manifest",
            Self::CompileFailed { .. } => "plugin_compile_failed",
            Self::CompileLimit { .. } | Self::CompileTime { .. } => "plugin_compile_limit",
            Self::DoesNotStart(_) => "plugin_does_not_start",
            Self::DoesNotDescribe(_) => "plugin_bad_description",
            Self::BadFixtures { .. } => "plugin_bad_fixture",
            Self::FixtureNotMet { .. } => "plugin_fixture_not_met",
            Self::TrialTooCostly { .. } => "plugin_trial_too_costly",
            Self::NotDeterministic => "plugin_not_deterministic",
            Self::NotReusable => "plugin_not_reusable",
            Self::Host { .. } => "plugin_host_failed",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::TooLarge { .. } => "build in release mode and strip debug information".into(),
            Self::NotWasm => "upload the .wasm file that `hookmill plugin build` made".into(),
            Self::CoreModule => "build for the target wasm32-wasip2, which makes components; `hookmill plugin build` does".into(),
            Self::Corrupt { .. } => "build or copy the file again; it may have been cut off".into(),
            Self::TooManyNames { .. } => "export `transform` and the optional interfaces of wit/plugin.wit, and nothing else".into(),
            Self::MissingExport { .. } => {
                "write `hookmill_sdk::plugin!(your_function);`, or export the interface `transform` of wit/plugin.wit".into()
            }
            Self::OtherContract { .. } | Self::OtherTypes { .. } => {
                "build against the contract that `hookmill plugin new` puts into the project".into()
            }
            Self::UnknownImport { import } if import.starts_with("wasi:sockets") || import.starts_with("wasi:http") => {
                "a plugin is a pure function and has no network; return the request, and the host sends it".into()
            }
            Self::UnknownImport { .. } => {
                "a plugin is a pure function; remove what needs this import, or build with the toolchain's option to stub WASI".into()
            }
            Self::BadManifest { .. } => "correct plugin.toml and run `hookmill plugin build` again".into(),
            Self::CompileFailed { .. } => "build the plugin with a released toolchain; if it persists, report it with the file".into(),
            Self::CompileLimit { .. } | Self::CompileTime { .. } => "make the component smaller: fewer dependencies, no generated tables, of debug information the lines only".into(),
            Self::BadFixtures { .. } => {
                "build it with `hookmill plugin build`, which checks the files in its tests directory".into()
            }
            Self::FixtureNotMet { .. } => {
                "run `hookmill plugin test` in its project; `--update` takes the new outcome as right".into()
            }
            Self::TrialTooCostly { .. } => {
                "ship fewer fixtures; `hookmill plugin test` shows what each costs, and runs the others without this limit".into()
            }
            Self::DoesNotDescribe(_) => "`describe` must return a JSON object with `name`, `version`, `description` and `settings`, a JSON Schema".into(),
            Self::DoesNotStart(_) => "run it with `hookmill plugin run FILE --event EVENT.json` to see its log".into(),
            Self::NotDeterministic => "the same event must give the same bytes; report it with the file".into(),
            Self::NotReusable => "keep nothing in global state from one call to the next, or leave `warm` out of plugin.toml".into(),
            Self::Host { .. } => "see the server's log; nothing is wrong with the component".into(),
        })
    }
}
