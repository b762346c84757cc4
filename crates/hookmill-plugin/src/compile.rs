//! From a component to native code, in a process of its own that has limits.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use rlimit::Resource;
use wait_timeout::ChildExt as _;
use wasmtime::Engine;

use crate::host::{Allocation, engine_config};
use crate::limits::PluginLimits;
use crate::lines::table_of;
use crate::priority::{NICENESS, come_last, offer_core, uninterrupted};
use crate::problem::LoadProblem;

/// In which part of its time a compiler has only what nobody else wants. That is the best for all else, and on a busy machine
/// nothing: one that is not done by then is started anew, and has its tenth.
const IDLE_PART: u32 = 12;

/// Bytes of stack of a thread that compiles.
const STACK_BYTES: usize = 8 << 20;

/// What a compiler has of a core that others want.
#[derive(Debug, Clone, Copy)]
enum Share {
    Nothing,
    Tenth,
}

impl Share {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Tenth => "tenth",
        }
    }
}

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compiler {
    /// In this process, without limits of time or memory: for trusted plugins, tests and command-line tools.
    #[default]
    InProcess,
    /// In a child process with limits, which must call [`compile_worker`] with the arguments that follow `args`.
    Subprocess {
        /// The program, commonly the running one.
        program: PathBuf,
        /// The arguments that make it a worker.
        args: Vec<OsString>,
    },
}

/// What is made of a component.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Native code.
    pub(crate) native: Vec<u8>,
    /// The [table](table_of) of its source lines, unless there are too many.
    pub(crate) lines: Option<Vec<u8>>,
}

impl Compiled {
    fn of(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        Ok(Self { native: engine.precompile_component(wasm)?, lines: table_of(wasm) })
    }
}

impl Compiler {
    /// Compiles in a child process: `program` with `args`, which must end in [`compile_worker`].
    pub fn subprocess(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self::Subprocess { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }

    /// Compiles a component that was inspected before. `scratch` is a private directory.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        wasm: &[u8],
        limits: &PluginLimits,
        scratch: &Path,
    ) -> Result<Compiled, LoadProblem> {
        match self {
            Self::InProcess => Compiled::of(engine, wasm).map_err(|error| compile_failed(&format!("{error:#}"))),
            Self::Subprocess { program, args } => compile_in_child(program, args, wasm, limits, scratch),
        }
    }
}

fn compile_failed(cause: &str) -> LoadProblem {
    LoadProblem::CompileFailed { cause: cause.trim().chars().take(2_000).collect() }
}

fn compile_in_child(
    program: &Path,
    args: &[OsString],
    wasm: &[u8],
    limits: &PluginLimits,
    scratch: &Path,
) -> Result<Compiled, LoadProblem> {
    let host = |attempted| move |error: std::io::Error| LoadProblem::Host { attempted, cause: error.to_string() };
    let files = tempfile::tempdir_in(scratch).map_err(host("make a directory for the compiler"))?;
    let (input, output) = (files.path().join("in.wasm"), files.path().join("out.cwasm"));
    std::fs::write(&input, wasm).map_err(host("hand the component to the compiler"))?;
    let cpu_secs = limits.compile_cpu_max.as_secs();
    let words = files.path().join("stderr");
    let run = |share: Share, time| -> Result<Option<ExitStatus>, LoadProblem> {
        let words = std::fs::File::create(&words).map_err(host("listen to the compiler"))?;
        let mut child = Command::new(program)
            .args(args)
            .args([input.as_os_str(), output.as_os_str()])
            .args([&cpu_secs.to_string(), &limits.compile_memory_max.to_string(), share.name()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .map_err(host("start the compiler"))?;
        let ended = uninterrupted(|| child.wait_timeout(time)).map_err(host("wait for the compiler"))?;
        if ended.is_none() {
            child.kill().and_then(|()| child.wait()).map_err(host("end the compiler"))?;
        }
        Ok(ended)
    };
    let mut ended = run(Share::Nothing, limits.compile_time_max / IDLE_PART)?;
    if ended.is_none() {
        tracing::info!(
            "the compiler was not done with what nobody else wanted of the cores, and begins anew with a tenth"
        );
        ended = run(Share::Tenth, limits.compile_time_max)?;
    }
    let errors = || String::from_utf8_lossy(&std::fs::read(&words).unwrap_or_default()).trim().to_owned();
    let Some(status) = ended else {
        tracing::warn!(errors = errors(), "the compiler took too long and was ended");
        return Err(LoadProblem::CompileTime { secs: limits.compile_time_max.as_secs() });
    };
    match status.code() {
        Some(0) => {
            let native = std::fs::read(&output).map_err(host("read what the compiler made"))?;
            Ok(Compiled { native, lines: std::fs::read(lines_beside(&output)).ok() })
        }
        Some(1) => Err(compile_failed(&errors())),
        // A signal: out of CPU time (SIGXCPU, SIGKILL) or of address space (SIGABRT, SIGSEGV).
        None => {
            tracing::warn!(%status, errors = errors(), "the compiler was ended");
            Err(LoadProblem::CompileLimit { cpu_secs, memory_mib: limits.compile_memory_max >> 20 })
        }
        Some(_) => Err(LoadProblem::Host { attempted: "run the compiler", cause: format!("{status}: {}", errors()) }),
    }
}

/// Runs as the compiler's child process; returns its exit code.
///
/// `args` are the five that the parent appends: input file, output file, seconds of CPU time, bytes of address space, what it
/// has of a core that others want.
/// It limits itself before it reads a byte of the component.
pub fn compile_worker(args: &[OsString]) -> u8 {
    match work(args) {
        Ok(()) => 0,
        Err(WorkerError::Component(cause)) => report(&cause, 1),
        Err(WorkerError::Host(cause)) => report(&cause, 2),
    }
}

fn report(cause: &str, exit_code: u8) -> u8 {
    // Nobody is left to tell if the parent does not listen any more.
    drop(writeln!(std::io::stderr(), "{cause}"));
    exit_code
}

enum WorkerError {
    Component(String),
    Host(String),
}

fn work(args: &[OsString]) -> Result<(), WorkerError> {
    let host = |cause: String| WorkerError::Host(cause);
    let [input, output, cpu_secs, memory, share] = args else {
        return Err(host("the compiler takes an input file, an output file, seconds, bytes and a share".into()));
    };
    let number = |text: &OsString| {
        text.to_str().and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| host(format!("{text:?} is no number")))
    };
    let (cpu_secs, memory) = (number(cpu_secs)?, number(memory)?);
    // Whoever waits for it may be killed; then nobody would end it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| host(format!("can't tie itself to its parent: {error}")))?;
    stand_back(share == Share::Nothing.name());
    let bounds = [(Resource::CPU, cpu_secs), (Resource::AS, memory), (Resource::FSIZE, memory), (Resource::CORE, 0)];
    for (resource, limit) in bounds {
        resource.set(limit, limit).map_err(|error| host(format!("can't limit itself: {error}")))?;
    }
    let wasm = std::fs::read(input).map_err(|error| host(error.to_string()))?;
    let engine = Engine::new(&engine_config(&PluginLimits::default(), Allocation::OnDemand))
        .map_err(|error| host(format!("{error:#}")))?;
    let threads = compiler_threads().map_err(|error| host(error.to_string()))?;
    let compiled = threads.install(|| Compiled::of(&engine, &wasm));
    let compiled = compiled.map_err(|error| WorkerError::Component(format!("{error:#}")))?;
    let wrote = compiled.lines.map_or(Ok(()), |lines| std::fs::write(lines_beside(Path::new(output)), lines));
    wrote.and_then(|()| std::fs::write(output, compiled.native)).map_err(|error| host(error.to_string()))
}

/// Starts as many threads as there are cores for this process, all of which offer them to others.
fn compiler_threads() -> Result<ThreadPool, ThreadPoolBuildError> {
    // For as long as the process lives. One that waits for another is interrupted all the same.
    let offer = |_| std::mem::forget(offer_core());
    ThreadPoolBuilder::new().stack_size(STACK_BYTES).start_handler(offer).build()
}

/// Leaves the cores to deliveries, or a tenth less. Where that can't be had, it compiles all the same.
fn stand_back(behind_all: bool) {
    if behind_all {
        come_last();
    }
    // Who started it may have seen to that.
    let inherited = rustix::process::getpriority_process(None).unwrap_or(0);
    let _niceness = rustix::process::setpriority_process(None, NICENESS.max(inherited));
}

/// Returns where the source lines of native code lie.
pub(crate) fn lines_beside(native: &Path) -> PathBuf {
    native.with_extension("lines")
}
