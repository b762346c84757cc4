//! Hot reload: files in the plugin directory become versions as they change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::{Digest, Explain as _, PluginName, TenantId};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{Debouncer, new_debouncer};
use tokio::sync::mpsc;

use crate::StartError;
use crate::engine::Inner;
use crate::plugins::{Candidate, Source};

/// Long enough that an ordinary copy is seen once and whole, short enough that a developer does not notice.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// Watches a directory for as long as it is kept.
pub(crate) type Watcher = Debouncer<RecommendedWatcher>;

/// Watches `dir` itself, not its files: a rename into place counts, and a file may come later.
///
/// Paths that changed arrive at the receiver; when it is full, the next change brings what was missed.
pub(crate) fn watch(dir: &Path) -> Result<(Watcher, mpsc::Receiver<()>), StartError> {
    let fault = |cause: String| StartError::Watch { dir: dir.display().to_string(), cause };
    std::fs::create_dir_all(dir).map_err(|error| fault(error.to_string()))?;
    let (changed, changes) = mpsc::channel(1);
    let mut watcher = new_debouncer(DEBOUNCE, move |_event| {
        // One waiting signal is as good as two: a scan looks at every file.
        let _waiting_already = changed.try_send(()).is_err();
    })
    .map_err(|error| fault(error.to_string()))?;
    watcher.watcher().watch(dir, RecursiveMode::NonRecursive).map_err(|error| fault(error.to_string()))?;
    Ok((watcher, changes))
}

/// What was last seen of the files, so that an unchanged one costs no more than a look at its times.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<PathBuf, (std::time::SystemTime, u64)>);

impl Inner {
    /// Takes in every component of `dir` that is new or changed.
    ///
    /// At the start, a version that is known already is left as it is: somebody may have rolled it back.
    pub(crate) async fn scan(self: &Arc<Self>, dir: &Path, seen: &mut Seen, at_start: bool) {
        let listing = std::fs::read_dir(dir)
            .inspect_err(|error| tracing::error!(dir = %dir.display(), %error, "the plugin directory can't be read"));
        let mut files: Vec<PathBuf> = listing.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
        files.sort();
        for file in files {
            // A pipe or a device could keep a reader for ever.
            let size_max = self.plugins.limits().component_bytes_max as u64 + 1;
            if !std::fs::metadata(&file).is_ok_and(|data| data.is_file() && data.len() <= size_max) {
                tracing::warn!(file = %file.display(), "a file can't be a plugin: it is no ordinary file, or too large");
                continue;
            }
            let Some(stamp) = std::fs::metadata(&file).ok().and_then(|data| Some((data.modified().ok()?, data.len())))
            else {
                continue;
            };
            if seen.0.insert(file.clone(), stamp) != Some(stamp) {
                self.reload(&file, at_start).await;
            }
        }
    }

    async fn reload(self: &Arc<Self>, file: &Path, at_start: bool) {
        let name = match file.file_stem().and_then(|stem| stem.to_str()).map(PluginName::new) {
            Some(Ok(name)) => name,
            Some(Err(error)) => return tracing::warn!(file = %file.display(), %error, "a file can't be a plugin"),
            None => return tracing::warn!(file = %file.display(), "a file can't be a plugin: its name is not UTF-8"),
        };
        let wasm = match std::fs::read(file) {
            Ok(wasm) => wasm,
            Err(error) => return tracing::warn!(file = %file.display(), %error, "a plugin file can't be read"),
        };
        let tenant = TenantId::default_tenant();
        let digest = Digest::of(&wasm);
        let info = self.plugins.find(&tenant, &name).await;
        let known = info.as_ref().is_some_and(|info| info.versions.iter().any(|version| version.digest == digest));
        if (at_start && known) || info.is_some_and(|info| info.active == Some(digest)) {
            return;
        }
        if let Err(error) =
            self.upload(&tenant, &name, Candidate { wasm, activate: true, source: Source::Directory }).await
        {
            tracing::warn!(file = %file.display(), code = error.code(), %error, "a plugin file was not taken; the active version stays");
        }
    }
}
