//! The server's own host, for one component in this process.

use anyhow::Context as _;
use hookmill::plugin::{Compiler, LoadPluginError, Plugin, PluginHost, PluginHostConfig, PluginLimits, Stage};
use tempfile::TempDir;

use crate::exit_code::{FAILED, Failure};

/// A guest's own megabyte of stack, and what the host needs.
const STACK_BYTES: usize = 8 << 20;

/// A host whose compiled components go when it does.
pub(crate) struct OwnHost {
    host: PluginHost,
    _cache: TempDir,
}

impl OwnHost {
    /// Sets the host up, with the limits of a server.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let cache = tempfile::tempdir().context("a directory for the compiled plugin can't be made")?;
        let host = PluginHost::new(PluginHostConfig {
            cache_dir: cache.path().to_owned(),
            limits: PluginLimits::default(),
            compiler: Compiler::InProcess,
            concurrency: 1,
        })
        .map_err(|error| Failure::explained(FAILED, &error))?;
        Ok(Self { host, _cache: cache })
    }

    /// Loads a component as the server does, but in this process: the file is the user's own.
    pub(crate) fn load(
        &self,
        wasm: &[u8],
        done: impl FnMut(Stage) + Send,
    ) -> anyhow::Result<Result<Plugin, LoadPluginError>> {
        on_guest_thread(|| self.host.load_in_stages(wasm, done))
    }
}

/// Loads a component on a host of its own.
pub(crate) fn load(wasm: &[u8]) -> anyhow::Result<Result<Plugin, LoadPluginError>> {
    OwnHost::new()?.load(wasm, |_| {})
}

/// Runs what calls a guest where the stack is large enough for one.
pub(crate) fn on_guest_thread<T: Send>(run: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, run)
            .context("a thread for the plugin can't be started")?;
        thread.join().map_err(|_| {
            Failure::new(FAILED, "plugin_host_panic", "the host failed while it ran the plugin; please report this")
                .into()
        })
    })
}
