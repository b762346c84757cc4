//! How an engine is put together, and takes up what an earlier run left.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use hookmill_core::ports::{DeliveryKey, Pending, Store};
use hookmill_delivery::{AddressPolicy, Client, ClientConfig};
use hookmill_plugin::{PluginHost, PluginHostConfig};
use hookmill_store::{SqliteOptions, SqliteStore};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::until;
use crate::engine::Inner;
use crate::feed::FEED_LENGTH;
use crate::guests::{GuestThreads, long_threads};
use crate::health::Health;
use crate::metrics::{Metered, Metrics};
use crate::plugins::Plugins;
use crate::publish::ticket;
use crate::replays::Replays;
use crate::scheduler::{Receiver, Scheduler, SchedulerLimits, Ticket};
use crate::seal::{KeyCheck, Sealer, SecretKey};
use crate::sealed_store::SealedStore;
use crate::sources::Sources;
use crate::unrecorded::UnrecordedAttempts;
use crate::watch::{Seen, watch};
use crate::webhooks::{Hook, Webhooks};
use crate::{EngineConfig, EngineError, StartError};

/// An embedded store is one partition.
const PARTITION: u32 = 0;

/// Deliveries that are read at once when an engine starts.
const RECOVERY_PAGE: usize = 10_000;

/// What an engine is made of in place of the usual parts: for tests, and no part of the stable interface.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Parts {
    /// The store, in place of the one in the data directory.
    pub store: Option<Arc<dyn Store>>,
}

/// Puts an engine together: store before rules, rules before deliveries, deliveries before anyone can publish.
pub(crate) async fn start(config: EngineConfig, parts: Parts) -> Result<Arc<Inner>, StartError> {
    let store = match parts.store {
        Some(store) => store,
        None => Arc::new(SqliteStore::open(&config.data_dir, SqliteOptions::default())?),
    };
    let metrics = Arc::new(Metrics::new());
    let check = KeyCheck::read(&*store).await?;
    let key = config.secret_key.clone().map_or_else(|| SecretKey::of_directory(&config.data_dir, &check), Ok)?;
    let sealer = Arc::new(Sealer::new(&key));
    check.check(&sealer)?;
    let store = Arc::new(SealedStore::new(store, sealer.clone()));
    let store: Arc<dyn Store> = Arc::new(Metered::new(store, metrics.clone()));
    let clock = config.clock.clone();
    let fence = store.lease(PARTITION).await?;
    let policy = AddressPolicy::new(config.allow.iter().copied()).with_hosts(config.allow_hosts.iter().cloned());
    let client = Client::new(ClientConfig { policy, proxy: config.proxy.clone() })?;
    let webhooks = Webhooks::open(store.clone(), client, sealer.clone()).await?;
    let sources = Sources::open(store.clone(), sealer.clone()).await?;
    check.keep(&*store, &sealer).await?;
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: config.data_dir.join("compiled"),
        limits: config.limits,
        compiler: config.compiler.clone(),
        concurrency: u32::try_from(config.guest_threads + long_threads(config.guest_threads)).unwrap_or(u32::MAX),
    })?;
    let health = Health::open(&*store, &*clock, config.disable_after).await?;
    let plugins = Plugins::open(host, config.limits_of.clone(), store.clone(), clock.clone()).await;
    let plugins = plugins.map_err(|error| match error {
        EngineError::Store(error) => StartError::Store(error),
        other => StartError::StoredPlugins { cause: other.to_string() },
    })?;
    let replays = Replays::open(store.clone()).await?;
    let scheduler = Scheduler::new(SchedulerLimits {
        in_flight_max: config.in_flight_max,
        in_flight_per_receiver_max: config.in_flight_per_receiver_max,
        waiting_bytes_max: config.waiting_bytes_max,
        circuit: config.receiver_circuit,
    });
    let inner = Arc::new(Inner {
        clock,
        store,
        fence,
        scheduler: Mutex::new(scheduler),
        waiting_max: config.waiting_max,
        arriving: AtomicUsize::new(0),
        unrecorded: UnrecordedAttempts::default(),
        timer: Notify::new(),
        metrics,
        health,
        webhooks,
        sources,
        plugins,
        replays,
        guests: GuestThreads::start(config.guest_threads)?,
        feed: broadcast::Sender::new(FEED_LENGTH),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
        failed: CancellationToken::new(),
    });
    if let Some(dir) = &config.plugins_dir {
        // Watched before it is scanned, so that a change between the two is not missed.
        let (watcher, changes) = watch(dir)?;
        let mut seen = Seen::default();
        let scanned = inner.scan(dir, &mut seen, true).await;
        inner.tasks.spawn(inner.clone().keep_plugins(dir.clone(), watcher, changes, seen, scanned));
    }
    recover(&inner).await?;
    inner.resume_replays();
    inner.tasks.spawn(inner.clone().keep_time());
    inner.tasks.spawn(inner.clone().keep_tidy(config.retention, config.retention_bytes));
    inner.pump();
    Ok(inner)
}

/// Takes up every delivery that is not settled: step 4 of the walk, as for a fresh one.
async fn recover(inner: &Arc<Inner>) -> Result<(), StartError> {
    let mut cursor: Option<DeliveryKey> = None;
    let mut count = 0_usize;
    loop {
        let page = inner.store.pending(cursor, Timestamp::MAX, RECOVERY_PAGE).await?;
        let (now, steady) = (inner.clock.now(), inner.clock.steady());
        let full = page.len() == RECOVERY_PAGE;
        cursor = page.last().map(|pending| pending.key);
        count += page.len();
        for pending in page {
            let hook = inner.webhooks.find(&pending.tenant, &pending.webhook);
            let gathers = hook.as_ref().and_then(|hook| gathers_until(hook, &pending, now));
            // All that is left of the time before the start is what the wall showed.
            let due = steady.after(until(gathers.unwrap_or(pending.due), now));
            let ticket = match hook {
                Some(hook) if gathers.is_some() => {
                    let (id, ticket) = (pending.id, ticket(&hook, pending, due, None));
                    let before = inner.scheduler().gather(ticket, steady);
                    before.iter().for_each(|before| inner.give_way(before, id));
                    continue;
                }
                Some(hook) => ticket(&hook, pending, due, None),
                // Its turn comes too, and then it is parked with the reason.
                None => Ticket {
                    receiver: Receiver { name: "".into(), rate: None, pace: None },
                    lane: None,
                    pending,
                    due,
                    event: None,
                    held: false,
                    past_trial: false,
                    gathers: false,
                },
            };
            inner.replays.recovered(&ticket);
            inner.scheduler().add(ticket, steady);
        }
        if !full {
            break;
        }
    }
    if count > 0 {
        tracing::info!(deliveries = count, "took up what an earlier run left unsettled");
    }
    Ok(())
}

/// Returns until when a delivery of an earlier run waits for later events of its document, if it still does. The store knows
/// when its event came, not for whose sake it waits, so it waits from there.
fn gathers_until(hook: &Hook, pending: &Pending, now: Timestamp) -> Option<Timestamp> {
    let wait = SignedDuration::from_millis(hook.webhook().coalesce_ms.into());
    let fresh = pending.tries == 0 && pending.replay.is_none();
    let until = pending.due.checked_add(wait).ok()?;
    (fresh && !wait.is_zero() && until > now).then_some(until)
}
