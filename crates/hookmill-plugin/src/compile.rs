//! From a component to native code, in a process of its own that has limits.

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use rlimit::Resource;
use tempfile::TempDir;
use wait_timeout::ChildExt as _;
use wasmtime::Engine;

use crate::host::{Allocation, engine_config};
use crate::limits::PluginLimits;
use crate::lines::table_of;
use crate::parts;
use crate::priority::{NICENESS, come_last, follow, offer_core, sign_for_child, uninterrupted};
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

/// What is made of a component: files in a directory of their own, which goes with this.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The file of native code.
    pub(crate) native: PathBuf,
    /// The [table](table_of) of its source lines, unless there are too many; it lies [beside](lines_beside) the code too.
    pub(crate) lines: Option<Vec<u8>>,
    _files: TempDir,
}

/// Compiles a component into a new file, and its source lines into another beside it.
fn compile_to(native: &Path, engine: &Engine, wasm: &[u8]) -> Result<(), WorkerError> {
    let code = engine.precompile_component(wasm).map_err(|error| WorkerError::Component(format!("{error:#}")))?;
    let wrote = table_of(wasm).map_or(Ok(()), |lines| parts::write(&lines_beside(native), &lines));
    wrote.and_then(|()| parts::write(native, &code)).map_err(|error| WorkerError::Host(error.to_string()))
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
            Self::InProcess => compile_here(engine, wasm, scratch),
            Self::Subprocess { program, args } => compile_in_child(program, args, wasm, limits, scratch),
        }
    }
}

impl Compiled {
    fn in_files(files: TempDir) -> Self {
        let native = native_in(&files);
        // Without them a backtrace has names only.
        let lines = parts::read(&lines_beside(&native)).ok();
        Self { native, lines, _files: files }
    }
}

fn new_files(scratch: &Path) -> Result<TempDir, LoadProblem> {
    tempfile::tempdir_in(scratch).map_err(host("make a directory for the compiler"))
}

fn native_in(files: &TempDir) -> PathBuf {
    files.path().join("out.cwasm")
}

fn host(attempted: &'static str) -> impl Fn(std::io::Error) -> LoadProblem {
    move |error| LoadProblem::Host { attempted, cause: error.to_string() }
}

fn compile_here(engine: &Engine, wasm: &[u8], scratch: &Path) -> Result<Compiled, LoadProblem> {
    let files = new_files(scratch)?;
    compile_to(&native_in(&files), engine, wasm).map_err(|error| match error {
        WorkerError::Component(cause) => compile_failed(&cause),
        WorkerError::Host(cause) => LoadProblem::Host { attempted: "write what the compiler made", cause },
    })?;
    Ok(Compiled::in_files(files))
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
    let files = new_files(scratch)?;
    let (input, output) = (files.path().join("in.wasm"), native_in(&files));
    parts::write(&input, wasm).map_err(host("hand the component to the compiler"))?;
    let cpu_secs = limits.compile_cpu_max.as_secs();
    let words = files.path().join("stderr");
    let begin = || -> Result<Child, LoadProblem> {
        let words = std::fs::File::create(&words).map_err(host("listen to the compiler"))?;
        let numbers = [cpu_secs.to_string(), limits.compile_memory_max.to_string()];
        let mut command = Command::new(program);
        command
            .args(args)
            .args([input.as_os_str(), output.as_os_str()])
            .args(numbers)
            .args(sign_for_child())
            .env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        command.spawn().map_err(host("start the compiler"))
    };
    let mut ended = run(begin, Share::Nothing, limits.compile_time_max / IDLE_PART)?;
    if ended.is_none() {
        tracing::info!(
            "the compiler was not done with what nobody else wanted of the cores, and begins anew with a tenth"
        );
        ended = run(begin, Share::Tenth, limits.compile_time_max)?;
    }
    // What stays is removed with its directory.
    let _removed = parts::remove(&input);
    let errors = || String::from_utf8_lossy(&std::fs::read(&words).unwrap_or_default()).trim().to_owned();
    let Some(status) = ended else {
        tracing::warn!(errors = errors(), "the compiler took too long and was ended");
        return Err(LoadProblem::CompileTime { secs: limits.compile_time_max.as_secs() });
    };
    match status.code() {
        Some(0) => Ok(Compiled::in_files(files)),
        Some(1) => Err(compile_failed(&errors())),
        // A signal: out of CPU time (SIGXCPU, SIGKILL) or of address space (SIGABRT, SIGSEGV).
        None => {
            tracing::warn!(%status, errors = errors(), "the compiler was ended");
            Err(LoadProblem::CompileLimit { cpu_secs, memory_mib: limits.compile_memory_max >> 20 })
        }
        Some(_) => Err(LoadProblem::Host { attempted: "run the compiler", cause: format!("{status}: {}", errors()) }),
    }
}

/// Begins a process on a thread of its own, from which it inherits what it has of the cores, and waits for its end; none if
/// it took too long and was ended.
///
/// The process ends with the thread that began it, so that thread waits too.
fn run(
    begin: impl FnOnce() -> Result<Child, LoadProblem> + Send,
    share: Share,
    time: Duration,
) -> Result<Option<ExitStatus>, LoadProblem> {
    let wait = || {
        // From its first instruction on: until it can offer its core, it holds it.
        if matches!(share, Share::Nothing) {
            come_last();
        }
        let mut child = begin()?;
        let ended = child.wait_timeout(time).map_err(host("wait for the compiler"))?;
        if ended.is_none() {
            child.kill().and_then(|()| child.wait()).map_err(host("end the compiler"))?;
        }
        Ok(ended)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("compiler".into()).spawn_scoped(scope, wait);
        let thread = thread.map_err(host("start a thread for the compiler"))?;
        uninterrupted(|| thread.join()).unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Runs as the compiler's child process; returns its exit code.
///
/// `args` are those that the parent appends: input file, output file, seconds of CPU time, bytes of address space, and where it
/// finds when to [make way](crate::priority::make_way), if it is to.
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
    // For as long as the process lives.
    std::mem::forget(offer_core());
    let host = |cause: String| WorkerError::Host(cause);
    let [input, output, cpu_secs, memory, sign @ ..] = args else {
        return Err(host("the compiler takes an input file, an output file, seconds and bytes".into()));
    };
    let number = |text: &OsString| {
        text.to_str().and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| host(format!("{text:?} is no number")))
    };
    let (cpu_secs, memory) = (number(cpu_secs)?, number(memory)?);
    // Without it others wait a little longer.
    let _followed = sign.first().is_some_and(|sign| follow(Path::new(sign)).is_ok());
    // Whoever waits for it may be killed; then nobody would end it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| host(format!("can't tie itself to its parent: {error}")))?;
    // Whoever started it may have seen to that. Where it can't be had, it compiles all the same.
    let inherited = rustix::process::getpriority_process(None).unwrap_or(0);
    let _niceness = rustix::process::setpriority_process(None, NICENESS.max(inherited));
    let bounds = [(Resource::CPU, cpu_secs), (Resource::AS, memory), (Resource::FSIZE, memory), (Resource::CORE, 0)];
    for (resource, limit) in bounds {
        resource.set(limit, limit).map_err(|error| host(format!("can't limit itself: {error}")))?;
    }
    let wasm = parts::read(Path::new(input)).map_err(|error| host(error.to_string()))?;
    let engine = Engine::new(&engine_config(&PluginLimits::default(), Allocation::OnDemand))
        .map_err(|error| host(format!("{error:#}")))?;
    let threads = compiler_threads().map_err(|error| host(error.to_string()))?;
    uninterrupted(|| threads.install(|| compile_to(Path::new(output), &engine, &wasm)))
}

/// Starts as many threads as there are cores for this process, all of which offer them to others.
fn compiler_threads() -> Result<ThreadPool, ThreadPoolBuildError> {
    // For as long as the process lives. One that waits for another is interrupted all the same.
    let offer = |_| std::mem::forget(offer_core());
    ThreadPoolBuilder::new().stack_size(STACK_BYTES).start_handler(offer).build()
}

/// Returns where the source lines of native code lie.
pub(crate) fn lines_beside(native: &Path) -> PathBuf {
    native.with_extension("lines")
}
