//! How an engine is set up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::TenantId;
use hookmill_core::ports::Clock;
use hookmill_delivery::{AllowedHost, Proxy};
use hookmill_plugin::{Compiler, PluginLimits};
use ipnet::IpNet;

use crate::circuit::CircuitPolicy;
use crate::clock::SystemClock;
use crate::seal::SecretKey;

/// The settings of an engine; [`EngineConfig::new`] gives the defaults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Where everything is kept; made if it is missing.
    pub data_dir: PathBuf,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// A directory of `.wasm` files that is watched: a file's stem is the name of its plugin.
    pub plugins_dir: Option<PathBuf>,
    /// Networks that receivers may be in although they are not public.
    pub allow: Vec<IpNet>,
    /// Hosts that receivers may be, although their addresses are loopback, private or shared ones.
    pub allow_hosts: Vec<AllowedHost>,
    /// The proxy that every request goes through; those of the environment are never used.
    pub proxy: Option<Proxy>,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// The bounds of every plugin.
    pub limits: PluginLimits,
    /// Lower bounds for the plugins of some tenants.
    pub limits_of: Option<LimitsOf>,
    /// Threads that run guests which are quick; there are half as many more for those that take long.
    pub guest_threads: usize,
    /// Deliveries that may be under way at one time, over all receivers.
    pub in_flight_max: usize,
    /// Deliveries that may be under way at one time to one receiver.
    pub in_flight_per_receiver_max: usize,
    /// Bytes of documents that wait in memory; beyond, they are read from the store when their turn comes.
    pub waiting_bytes_max: usize,
    /// Deliveries that may wait in all; beyond, publishing is refused until some are settled.
    pub waiting_max: usize,
    /// What secrets are sealed with where they are stored; without one, the data directory's own, made at the first start.
    pub secret_key: Option<SecretKey>,
    /// When a receiver that fails is left alone, and for how long.
    pub receiver_circuit: CircuitPolicy,
    /// After how long of nothing but failures a webhook is disabled; never, without.
    pub disable_after: Option<Duration>,
    /// For how long events are kept after all their deliveries were settled.
    pub retention: Duration,
    /// What the store may occupy; beyond, the oldest settled events are forgotten before their time. The log of the
    /// store, up to 128 MiB, counts.
    pub retention_bytes: Option<u64>,
}

/// Says what bounds the plugins of a tenant have. It is asked whenever a version is made ready, and what it grants above
/// [`EngineConfig::limits`] counts for nothing.
#[derive(Clone)]
pub struct LimitsOf(Arc<dyn Fn(&TenantId) -> PluginLimits + Send + Sync>);

impl LimitsOf {
    /// Asks `limits_of`, which must not block.
    pub fn new(limits_of: impl Fn(&TenantId) -> PluginLimits + Send + Sync + 'static) -> Self {
        Self(Arc::new(limits_of))
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> PluginLimits {
        (self.0)(tenant)
    }
}

impl fmt::Debug for LimitsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitsOf").finish_non_exhaustive()
    }
}

impl EngineConfig {
    /// Returns the defaults for an engine that keeps its data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            clock: Arc::new(SystemClock),
            plugins_dir: None,
            allow: vec![],
            allow_hosts: vec![],
            proxy: None,
            compiler: Compiler::default(),
            limits: PluginLimits::default(),
            limits_of: None,
            guest_threads: std::thread::available_parallelism().map_or(2, |cores| cores.get().min(64)),
            // A receiver that never answers holds its share for a whole timeout; many such must not hold all.
            in_flight_max: 2_048,
            in_flight_per_receiver_max: 64,
            waiting_bytes_max: 256 << 20,
            waiting_max: 1_000_000,
            secret_key: None,
            // Short at first: most outages are a restart.
            receiver_circuit: CircuitPolicy { pause_min: Duration::from_secs(2), ..CircuitPolicy::default() },
            disable_after: Some(Duration::from_secs(5 * 24 * 3600)),
            retention: Duration::from_secs(30 * 24 * 3600),
            retention_bytes: None,
        }
    }
}
