//! What one guest instance has around it: its log, its frozen world, and the meter that stops it.

use std::time::Duration;

use hookmill_core::DeliveryId;
use jiff::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime::{CallHook, Engine, ResourceLimiter, Store, StoreContextMut, Trap};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::v1;
use crate::limits::PluginLimits;
use crate::log::{LogData, SharedLog};

/// What a guest pays for each call of the host, whose own work fuel does not count: about a microsecond of it.
const HOST_CALL_FUEL: u64 = 2_000;

/// Random bytes that a guest gets at once. Making them costs the host time that fuel does not count.
const RANDOM_BYTES_MAX: u64 = 4 * 1024;

/// The data of a store: one call's surroundings.
pub(crate) struct Guest {
    pub(crate) log: SharedLog,
    pub(crate) meter: MemoryMeter,
    table: ResourceTable,
    /// Made when the guest first asks for something of WASI, which most never do.
    wasi: Option<WasiCtx>,
    seed: DeliveryId,
    /// Nanoseconds since 1970 at which every clock stands.
    instant: u64,
}

impl Guest {
    /// Makes the surroundings of one call: clocks stand at `at`, random numbers follow from `seed`.
    pub(crate) fn new(limits: &PluginLimits, at: Timestamp, seed: &DeliveryId) -> Self {
        let log = SharedLog::new(limits.log_bytes_max);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles_max);
        let instant = nanoseconds(at);
        let meter = MemoryMeter {
            used: 0,
            peak: 0,
            bytes_max: limits.memory_bytes_max,
            table_entries: 0,
            table_entries_max: limits.table_entries_max,
        };
        Self { log, meter, table, wasi: None, seed: *seed, instant }
    }

    /// Makes the surroundings of the next call of an instance that is kept. What the guest holds stays with it.
    pub(crate) fn rearm(&mut self, limits: &PluginLimits, at: Timestamp, seed: &DeliveryId) {
        self.log.begin(limits.log_bytes_max);
        self.meter.peak = self.meter.used;
        self.wasi = None;
        self.seed = *seed;
        self.instant = nanoseconds(at);
    }

    /// Returns what stands behind the guest's WASI: output that is logged, and numbers that follow from the seed.
    fn wasi(&mut self) -> &mut WasiCtx {
        let Self { log, seed, wasi, .. } = self;
        wasi.get_or_insert_with(|| {
            let mut rng_seed = [0; 32];
            for (byte, seed_byte) in rng_seed.iter_mut().zip(seed.as_bytes()) {
                *byte = *seed_byte;
            }
            WasiCtx::builder()
                .stdout(log.stream("stdout"))
                .stderr(log.stream("stderr"))
                .insecure_random(ChaCha8Rng::from_seed(rng_seed))
                .insecure_random_seed(u128::from_be_bytes(*seed.as_bytes()))
                .secure_random(ChaCha8Rng::from_seed(rng_seed))
                .max_random_size(RANDOM_BYTES_MAX)
                .build()
        })
    }
}

/// Returns nanoseconds since 1970; before, clocks stand at its beginning.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi();
        WasiCtxView { ctx: self.wasi.as_mut().expect("made the line before"), table: &mut self.table }
    }
}

/// Links hookmill's own imports, and of WASI what language runtimes need to start: no sockets, no HTTP, a file system
/// without a single directory, no arguments, no environment, and clocks that stand.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use wasi::{cli, clocks, filesystem, random, sync};
    v1::hookmill::plugin::log::add_to_linker::<Guest, LogData>(linker, |guest| &mut guest.log)?;
    wasi::io::error::add_to_linker::<Guest, Io>(linker, |guest| &mut guest.table)?;
    sync::io::poll::add_to_linker::<Guest, Io>(linker, |guest| &mut guest.table)?;
    sync::io::streams::add_to_linker::<Guest, Io>(linker, |guest| &mut guest.table)?;
    clocks::wall_clock::add_to_linker::<Guest, Clocks>(linker, Guest::standing_clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, Clocks>(linker, Guest::standing_clocks)?;
    random::random::add_to_linker::<Guest, WasiRandom>(linker, |guest| guest.wasi().random())?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(linker, |guest| guest.wasi().random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(linker, |guest| guest.wasi().random())?;
    cli::environment::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    sync::filesystem::types::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    Ok(())
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Clocks that stand at the event's moment.
///
/// WASI's own would also let a guest sleep, which fuel does not count: a subscription here is ready at once.
struct Clocks;

struct StandingClocks<'a> {
    instant: u64,
    table: &'a mut ResourceTable,
}

impl HasData for Clocks {
    type Data<'a> = StandingClocks<'a>;
}

impl Guest {
    fn standing_clocks(&mut self) -> StandingClocks<'_> {
        StandingClocks { instant: self.instant, table: &mut self.table }
    }
}

impl wasi::clocks::wall_clock::Host for StandingClocks<'_> {
    fn now(&mut self) -> wasmtime::Result<wasi::clocks::wall_clock::Datetime> {
        let span = Duration::from_nanos(self.instant);
        Ok(wasi::clocks::wall_clock::Datetime { seconds: span.as_secs(), nanoseconds: span.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wasi::clocks::wall_clock::Datetime> {
        Ok(wasi::clocks::wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl wasi::clocks::monotonic_clock::Host for StandingClocks<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.instant)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let ready = self.table.push(Ready)?;
        subscribe(self.table, ready)
    }

    fn subscribe_duration(&mut self, _span: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

struct Ready;

#[wasmtime_wasi::async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {}
}

/// Sums the linear memories of an instance, and its tables, and refuses to let them grow past the limits.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    used: usize,
    peak: usize,
    bytes_max: usize,
    table_entries: usize,
    table_entries_max: usize,
}

impl MemoryMeter {
    /// Tells whether the memories take more than half of what they may.
    pub(crate) fn is_half_full(&self) -> bool {
        self.used > self.bytes_max / 2
    }

    /// Returns the largest sum of bytes in this call.
    pub(crate) fn peak(&self) -> u64 {
        self.peak as u64
    }
}

/// A guest wanted more memory, or a larger table, than it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plugin wanted {wanted} {unit}, more than the {max} that it may have")]
pub(crate) struct GrowthRefused {
    wanted: usize,
    max: usize,
    unit: &'static str,
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.used.saturating_sub(current).saturating_add(desired);
        if wanted > self.bytes_max {
            // An error, where WebAssembly's -1 would become a panic in the guest that says less.
            return Err(GrowthRefused { wanted, max: self.bytes_max, unit: "bytes of memory" }.into());
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table_entries.saturating_sub(current).saturating_add(desired);
        if wanted > self.table_entries_max {
            return Err(GrowthRefused { wanted, max: self.table_entries_max, unit: "entries of tables" }.into());
        }
        self.table_entries = wanted;
        Ok(true)
    }
}

/// Makes a store whose guest pays for its memory, and for what it makes the host do.
pub(crate) fn metered(engine: &Engine, guest: Guest) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.meter);
    store.call_hook(|store, hook| match hook {
        CallHook::CallingHost => pay(store, HOST_CALL_FUEL),
        CallHook::ReturningFromHost => {
            let bytes = store.data().log.take_unpaid();
            pay(store, bytes)
        }
        CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
    });
    store
}

fn pay(mut store: StoreContextMut<'_, Guest>, fuel: u64) -> wasmtime::Result<()> {
    if fuel == 0 {
        return Ok(());
    }
    let left = store.get_fuel()?.checked_sub(fuel);
    store.set_fuel(left.unwrap_or(0))?;
    left.map(drop).ok_or_else(|| Trap::OutOfFuel.into())
}

/// Sets the meters of a fresh store.
pub(crate) fn arm(mut store: StoreContextMut<'_, Guest>, limits: &PluginLimits) -> wasmtime::Result<()> {
    store.set_fuel(limits.fuel_max)?;
    store.set_hostcall_fuel(limits.hostcall_bytes_max);
    store.set_max_component_handles(limits.handles_max);
    Ok(())
}
