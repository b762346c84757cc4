//! One call of a plugin, in a fresh instance, and what it cost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hookmill_core::{DeliveryId, Digest, Fault, PluginName, PluginRun};
use jiff::Timestamp;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{AsContextMut as _, Store};

use crate::bindings::v1::exports::hookmill::plugin::{describe, response, transform};
use crate::describe::Description;
use crate::fault::{fault, from_trap};
use crate::guest::{Guest, arm, metered};
use crate::inspect::Inspection;
use crate::limits::PluginLimits;
use crate::lines::SourceLines;
use crate::problem::LoadProblem;
use crate::warm::{Live, WarmPool};

/// A plugin that is ready to run. Cloning is cheap.
#[derive(Clone)]
pub struct Plugin {
    shared: Arc<Shared>,
    /// Whether instances are kept from one call to the next.
    warm: bool,
}

struct Shared {
    /// Tells its instances from those of other plugins, also of the same digest.
    number: u64,
    pool: Arc<WarmPool>,
    pre: InstancePre<Guest>,
    exports: Exports,
    lines: SourceLines,
    inspection: Inspection,
    description: OnceLock<Option<Description>>,
    limits: PluginLimits,
    engine_hash: Digest,
}

/// Where an instance has the functions of each interface; only the first is required.
#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) transform: transform::GuestIndices,
    pub(crate) response: Option<response::GuestIndices>,
    pub(crate) describe: Option<describe::GuestIndices>,
}

/// What came of one call, and what it cost either way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<T> {
    /// What came of it.
    pub result: Result<T, Fault>,
    /// Fuel used.
    pub fuel: u64,
    /// The largest sum of linear memories, in bytes.
    pub memory: u64,
    /// What the guest logged.
    pub log: Vec<String>,
    /// Whether an instance that was kept from an earlier call served this one.
    pub warm: bool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.forget(self.number);
    }
}

impl<T> Report<T> {
    /// Goes on with the result, at the same cost.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(T) -> Result<U, Fault>) -> Report<U> {
        let Self { result, fuel, memory, log, warm } = self;
        Report { result: result.and_then(next), fuel, memory, log, warm }
    }

    /// Splits the report into the result and the record of the run, which has no hashes of input and output yet.
    pub fn into_run(self, name: PluginName, plugin: &Plugin) -> (Result<T, Fault>, PluginRun) {
        let Self { result, fuel, memory, log, warm } = self;
        let (digest, engine_hash) = (plugin.digest(), Some(plugin.engine_hash()));
        let run = PluginRun { name, digest, fuel, memory, log, warm, engine_hash, input_hash: None, output_hash: None };
        (result, run)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

impl Exports {
    pub(crate) fn of(pre: &InstancePre<Guest>, inspection: &Inspection) -> wasmtime::Result<Self> {
        let has = |interface: &str| {
            inspection
                .exports
                .iter()
                .any(|export| export.strip_prefix(interface).is_some_and(|rest| rest.starts_with('@')))
        };
        Ok(Self {
            transform: transform::GuestIndices::new(pre)?,
            response: has("hookmill:plugin/response").then(|| response::GuestIndices::new(pre)).transpose()?,
            describe: has("hookmill:plugin/describe").then(|| describe::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// Holds the functions against the contract's types, which nothing but an instance tells.
    fn check(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<()> {
        self.transform.load(&mut *store, instance)?;
        self.response.as_ref().map(|response| response.load(&mut *store, instance)).transpose()?;
        self.describe.as_ref().map(|describe| describe.load(&mut *store, instance)).transpose()?;
        Ok(())
    }
}

impl Plugin {
    pub(crate) fn new(
        pre: InstancePre<Guest>,
        exports: Exports,
        lines: SourceLines,
        inspection: Inspection,
        limits: PluginLimits,
        engine_hash: Digest,
        pool: Arc<WarmPool>,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let warm = inspection.manifest.as_ref().is_some_and(|manifest| manifest.warm);
        let description = OnceLock::new();
        let shared = Shared { number, pool, pre, exports, lines, inspection, description, limits, engine_hash };
        Self { shared: Arc::new(shared), warm }
    }

    /// Sets what the plugin says of itself, once.
    pub(crate) fn described(self, description: Option<Description>) -> Self {
        self.shared.description.get_or_init(|| description);
        self
    }

    /// Tells whether instances are kept from one call to the next.
    pub fn is_warm(&self) -> bool {
        self.warm
    }

    /// Returns the same plugin, whose instances are kept whatever the manifest says: what measures it either way.
    pub fn warmed(&self) -> Self {
        Self { shared: self.shared.clone(), warm: true }
    }

    /// Returns the same plugin, each of whose calls has an instance of its own whatever the manifest says: what proves
    /// that a call gives what it gave.
    pub fn fresh(&self) -> Self {
        Self { shared: self.shared.clone(), warm: false }
    }

    /// Returns what the component is made of.
    pub fn inspection(&self) -> &Inspection {
        &self.shared.inspection
    }

    /// Returns what the plugin says of itself, if it says anything.
    pub fn description(&self) -> Option<&Description> {
        self.shared.description.get()?.as_ref()
    }

    /// Returns the component's digest, which is its version.
    pub fn digest(&self) -> Digest {
        self.inspection().digest
    }

    /// Returns the bounds under which it runs: the host's, lowered to what its manifest asks for.
    pub fn limits(&self) -> &PluginLimits {
        &self.shared.limits
    }

    /// Returns the digest of everything beside component and input that decides what a call gives: the version and
    /// settings of the engine, and the limits.
    pub fn engine_hash(&self) -> Digest {
        self.shared.engine_hash
    }

    /// Returns the bytes of native code and data that it was compiled into.
    pub fn native_bytes(&self) -> usize {
        let image = self.shared.pre.component().image_range();
        image.end.addr().saturating_sub(image.start.addr())
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.shared.exports
    }

    /// Starts an instance, holds its exports against the contract's types, and drops it: a [`transform`](Self::transform)
    /// without the call. Blocks as that does.
    pub fn check_start(&self, at: Timestamp, seed: &DeliveryId) -> Result<(), LoadProblem> {
        let mut store = metered(self.shared.pre.engine(), Guest::new(self.limits(), at, seed));
        let instance = arm(store.as_context_mut(), self.limits())
            .and_then(|()| self.shared.pre.instantiate(&mut store))
            .map_err(|error| {
                LoadProblem::DoesNotStart(from_trap(
                    &error,
                    &store.data().log.take(),
                    self.limits(),
                    &self.shared.lines,
                ))
            })?;
        self.exports()
            .check(&mut store, &instance)
            .map_err(|error| LoadProblem::OtherTypes { cause: format!("{error:#}") })
    }

    /// Calls an instance whose clocks stand at `at`, a fresh one or one that was kept; blocks until it is done.
    ///
    /// In a fresh one, the same input gives the same report on every machine. A thread that calls this needs a stack of the guest's
    /// limit and half a MiB more. Never call it on a thread of an async runtime: a guest may take its whole fuel.
    pub(crate) fn run<T>(
        &self,
        at: Timestamp,
        seed: &DeliveryId,
        call: impl FnOnce(&mut Store<Guest>, &Instance) -> wasmtime::Result<T>,
    ) -> Report<T> {
        let limits = self.limits();
        let kept = if self.warm { self.shared.pool.take(self.shared.number) } else { None };
        let warm = kept.is_some();
        let (mut store, started) = match kept {
            Some(Live { mut store, instance, calls }) => {
                store.data_mut().rearm(limits, at, seed);
                (store, Some((instance, calls)))
            }
            None => (metered(self.shared.pre.engine(), Guest::new(limits, at, seed)), None),
        };
        // A panic in the engine must end this call only; the store is dropped and never used again.
        let result = catch_unwind(AssertUnwindSafe(|| {
            arm(store.as_context_mut(), limits)?;
            let (instance, calls) = match started {
                Some(started) => started,
                None => (self.shared.pre.instantiate(&mut store)?, 0),
            };
            call(&mut store, &instance).map(|value| (value, instance, calls))
        }));
        let fuel = limits.fuel_max.saturating_sub(store.get_fuel().unwrap_or(0));
        let memory = store.data().meter.peak();
        let log = store.data().log.take();
        let result = match result {
            Ok(Ok((value, instance, calls))) => {
                if self.warm {
                    self.shared.pool.keep(self.shared.number, Live { store, instance, calls });
                }
                Ok(value)
            }
            Ok(Err(error)) => Err(from_trap(&error, &log, limits, &self.shared.lines)),
            Err(_) => Err(fault("plugin_host_panic", "the host failed while it ran the plugin; please report this")),
        };
        Report { result, fuel, memory, log, warm }
    }
}
