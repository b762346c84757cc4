//! The engine that all plugins share, and the way in for a new one.

use std::hash::Hash as _;
use std::path::PathBuf;
use std::sync::Arc;

use hookmill_core::{Digest, Explain};
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::cache::CompiledCache;
use crate::call::{Exports, Plugin};
use crate::compile::Compiler;
use crate::fault::fault;
use crate::guest::{Guest, link};
use crate::hash::FieldHash;
use crate::inspect::{hash, inspect_hashed};
use crate::limits::PluginLimits;
use crate::lines::SourceLines;
use crate::problem::{LoadPluginError, LoadProblem};
use crate::trial::{self_test_delivery, try_out};
use crate::warm::WarmPool;

/// How a host for plugins is set up.
#[derive(Debug, Clone)]
pub struct PluginHostConfig {
    /// A private directory for compiled components.
    pub cache_dir: PathBuf,
    /// The bounds of every plugin.
    pub limits: PluginLimits,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// How many calls may run at the same time; it sizes the pool of instances.
    pub concurrency: u32,
}

/// Takes plugins in and makes them ready to run. Clones share everything.
#[derive(Clone)]
pub struct PluginHost {
    engine: Engine,
    linker: Arc<Linker<Guest>>,
    cache: Arc<CompiledCache>,
    limits: PluginLimits,
    /// Whether these are lower than those under which what is kept was tried out.
    lowered: bool,
    compiler: Compiler,
    engine_hash: Digest,
    warm: Arc<WarmPool>,
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The host for plugins can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempted}: {cause}")]
pub struct HostError {
    attempted: &'static str,
    cause: String,
}

impl Explain for HostError {
    fn code(&self) -> &'static str {
        "plugin_host_failed"
    }

    fn help(&self) -> Option<String> {
        Some(
            "check that the data directory can be written and that the process may reserve address space (`ulimit -v`)"
                .into(),
        )
    }
}

/// What of loading a component is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever shows progress shows each")]
pub enum Stage {
    /// It is a component that meets the contract.
    Validated,
    /// It is native code.
    Compiled,
    /// It started, met its fixtures and gave the same answers each time.
    Tested,
}

/// Where instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// From a pool for so many calls at a time.
    Pooled(u32),
    /// From the operating system, each time anew.
    OnDemand,
}

/// Everything that decides what code is made and how it runs. The compiler's process uses the same.
pub(crate) fn engine_config(limits: &PluginLimits, allocation: Allocation) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .concurrency_support(false)
        .consume_fuel(true)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(32 << 20)
        .max_wasm_stack(limits.stack_bytes_max)
        // The engine would read debug information anew for each frame, and without any bound.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .allocation_strategy(match allocation {
            Allocation::Pooled(concurrency) => InstanceAllocationStrategy::Pooling(pool(limits, concurrency)),
            Allocation::OnDemand => InstanceAllocationStrategy::OnDemand,
        });
    config
}

/// A pool that fits the big guests: a Python component has 38 core instances, a JavaScript one 12 and 3 memories.
fn pool(limits: &PluginLimits, concurrency: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(concurrency)
        .total_core_instances(concurrency * 64)
        .total_memories(concurrency * 8)
        .total_tables(concurrency * 64)
        .total_gc_heaps(concurrency)
        .max_core_instances_per_component(64)
        .max_memories_per_component(8)
        .max_tables_per_component(64)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(limits.memory_bytes_max)
        .table_elements(limits.table_entries_max)
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(concurrency)
        .pagemap_scan(if has_swap() { Enabled::No } else { Enabled::Auto });
    pool
}

/// Tells whether pages may be swapped out, in which case a scan for resident pages could miss what a guest left behind.
///
/// Without swap, the scan halves the cost of a fresh instance. A machine that can't be asked counts as one with swap.
fn has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}

impl PluginHost {
    /// Sets the host up.
    pub fn new(config: PluginHostConfig) -> Result<Self, HostError> {
        let PluginHostConfig { cache_dir, limits, compiler, concurrency } = config;
        let cache = CompiledCache::open(&cache_dir).map_err(|error| HostError {
            attempted: "open the directory for compiled plugins",
            cause: format!("{}: {error}", cache_dir.display()),
        })?;
        // One call more than asked for, so that an upload can be tested while all others run; and as many again that are
        // kept for their next call.
        let warm = concurrency;
        let engine =
            Engine::new(&engine_config(&limits, Allocation::Pooled(concurrency + 1 + warm))).or_else(|error| {
                tracing::warn!(%error, "no pool for plugin instances; they are allocated on demand, which is slower");
                Engine::new(&engine_config(&limits, Allocation::OnDemand))
            });
        let engine = engine
            .map_err(|error| HostError { attempted: "start the WebAssembly engine", cause: format!("{error:#}") })?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)
            .map_err(|error| HostError { attempted: "link the plugin contract", cause: format!("{error:#}") })?;
        let engine_hash = hash_of(&engine);
        let warm = Arc::new(WarmPool::new(usize::try_from(warm).unwrap_or(usize::MAX)));
        let (linker, cache) = (Arc::new(linker), Arc::new(cache));
        Ok(Self { engine, linker, cache, limits, lowered: false, compiler, engine_hash, warm })
    }

    /// Returns this host for somebody whose plugins may use less; what is above the host's own bounds is lowered to them.
    pub fn with_limits(&self, limits: PluginLimits) -> Self {
        let limits = limits.lowered_to(&self.limits);
        Self { limits, lowered: limits != self.limits, ..self.clone() }
    }

    /// Returns the bounds of every plugin.
    pub fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// Takes a component in: inspects it, compiles it, links it and tries it out, unless that was done before.
    ///
    /// Blocks for as long as compiling takes.
    pub fn load(&self, wasm: &[u8]) -> Result<Plugin, LoadPluginError> {
        self.load_in_stages(wasm, |_| {})
    }

    /// Does what [`load`](Self::load) does, and tells of each stage that is behind it.
    pub fn load_in_stages(&self, wasm: &[u8], mut done: impl FnMut(Stage)) -> Result<Plugin, LoadPluginError> {
        let digest = hash(wasm, &self.limits)?;
        if let Some(plugin) = self.load_known(&digest)? {
            if self.lowered {
                try_out(&plugin)?;
            }
            [Stage::Validated, Stage::Compiled, Stage::Tested].into_iter().for_each(done);
            return Ok(plugin);
        }
        let inspection = inspect_hashed(wasm, digest)?;
        done(Stage::Validated);
        let compiled = self.compiler.compile(&self.engine, wasm, &self.limits, self.cache.dir())?;
        let component = self.cache.fresh(&self.engine, &compiled).map_err(|error| does_not_fit(&error))?;
        done(Stage::Compiled);
        if compiled.lines.is_none() {
            tracing::warn!(%digest, "a plugin has more source lines than are kept; its backtraces have names only");
        }
        let plugin = self.link(&component, SourceLines::here(compiled.lines.clone()), inspection)?;
        try_out(&plugin)?;
        done(Stage::Tested);
        self.cache.keep(&self.engine, plugin.inspection(), &compiled);
        Ok(plugin)
    }

    /// Loads a component that was compiled and tried out before, from what was kept then; none if nothing was, or by
    /// another version of hookmill.
    pub fn load_known(&self, digest: &Digest) -> Result<Option<Plugin>, LoadPluginError> {
        let Some((component, lines, inspection)) = self.cache.load(&self.engine, digest) else { return Ok(None) };
        self.link(&component, lines, inspection).map(Some)
    }

    /// Removes what was kept of a component that nobody knows any more. What runs of it runs on.
    ///
    /// A file that can't be removed is only in the way of nobody, so that is told to the log.
    pub fn forget(&self, digest: &Digest) {
        if let Err(error) = self.cache.forget(digest) {
            tracing::warn!(%digest, %error, "a compiled component could not be removed");
        }
    }

    fn link(
        &self,
        component: &wasmtime::component::Component,
        lines: SourceLines,
        inspection: crate::Inspection,
    ) -> Result<Plugin, LoadPluginError> {
        let other_types = |error: wasmtime::Error| LoadProblem::OtherTypes { cause: format!("{error:#}") };
        let pre = self.linker.instantiate_pre(component).map_err(other_types)?;
        let exports = Exports::of(&pre, &inspection).map_err(other_types)?;
        let wanted = inspection.manifest.as_ref().and_then(|manifest| manifest.limits).unwrap_or_default();
        let limits = wanted.within(&self.limits).map_err(|cause| LoadProblem::BadManifest { cause })?;
        let mut engine_hash = FieldHash::new("engine and limits");
        engine_hash.field(self.engine_hash.as_bytes()).field(format!("{limits:?}"));
        let plugin = Plugin::new(pre, exports, lines, inspection, limits, engine_hash.finish(), self.warm.clone());
        let description = plugin.describe(&self_test_delivery()).transpose();
        Ok(plugin.described(description.map_err(LoadProblem::DoesNotDescribe)?))
    }
}

/// Hashes the version and the settings of the engine.
fn hash_of(engine: &Engine) -> Digest {
    let mut hash = FieldHash::new("engine");
    engine.precompile_compatibility_hash().hash(&mut hash);
    hash.finish()
}

/// Tells a component that wants more than a plugin may have from a host that is at fault.
fn does_not_fit(error: &wasmtime::Error) -> LoadProblem {
    let cause = format!("{error:#}");
    // The engine has no type for this.
    if cause.contains("pooling allocator") {
        LoadProblem::DoesNotStart(fault("plugin_out_of_memory", cause))
    } else {
        LoadProblem::Host { attempted: "load what the compiler made", cause }
    }
}
