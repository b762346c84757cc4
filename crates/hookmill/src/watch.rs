//! Hot reload: files in the plugin directory become versions as they change.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::{Explain as _, PluginName, TenantId};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{Debouncer, new_debouncer};
use tokio::sync::mpsc;

use crate::engine::Inner;
use crate::plugins::{Candidate, Source};
use crate::{EngineError, StartError};

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

/// What a file looked like when it was last dealt with, so that an unchanged one costs no more than a look.
type Stamp = (std::time::SystemTime, u64);

/// The files that were dealt with: taken, known already, or refused for what they are.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<PathBuf, Stamp>);

/// How a scan went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// Every file was dealt with.
    Whole,
    /// The host failed on some, which are to be tried again though they do not change.
    TryAgain,
}

impl Inner {
    /// Takes in every component of `dir` that is new or changed.
    ///
    /// At the start, a version that is known already is left as it is: somebody may have rolled it back.
    pub(crate) async fn scan(self: &Arc<Self>, dir: &Path, seen: &mut Seen, at_start: bool) -> Scanned {
        let listed = dir.to_owned();
        let files = match blocking(move || components(&listed)).await {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "the plugin directory can't be read");
                return Scanned::TryAgain;
            }
        };
        let mut scanned = Scanned::Whole;
        for (file, stamp) in files {
            if seen.0.get(&file) == Some(&stamp) {
                continue;
            }
            match self.reload(&file, at_start).await {
                Scanned::Whole => drop(seen.0.insert(file, stamp)),
                Scanned::TryAgain => scanned = Scanned::TryAgain,
            }
        }
        scanned
    }

    async fn reload(self: &Arc<Self>, file: &Path, at_start: bool) -> Scanned {
        let refused = |why: &str| {
            tracing::warn!(file = %file.display(), "a file can't be a plugin: {why}");
            Scanned::Whole
        };
        let name = match file.file_stem().and_then(|stem| stem.to_str()).map(PluginName::new) {
            Some(Ok(name)) => name,
            Some(Err(error)) => return refused(&error.to_string()),
            None => return refused("its name is not UTF-8"),
        };
        let bytes_max = self.plugins.limits(&TenantId::default_tenant()).component_bytes_max as u64;
        let path = file.to_owned();
        let wasm = match blocking(move || read(&path, bytes_max)).await {
            Ok(Ok(wasm)) => wasm,
            Ok(Err(why)) => return refused(&why),
            // Removed meanwhile: nothing to try again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Scanned::Whole,
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "a plugin file can't be read; it is tried again");
                return Scanned::TryAgain;
            }
        };
        let tenant = TenantId::default_tenant();
        let Ok(candidate) = Candidate::new(wasm, true, Source::Directory).await else { return Scanned::TryAgain };
        let digest = candidate.digest;
        let info = self.plugins.find(&tenant, &name).await;
        let known = info.as_ref().is_some_and(|info| info.versions.iter().any(|version| version.digest == digest));
        if (at_start && known) || info.is_some_and(|info| info.active == Some(digest)) {
            return Scanned::Whole;
        }
        let job = self.plugins.receive(&tenant, &name, &candidate);
        match self.upload(&tenant, &name, job, candidate).await {
            Err(EngineError::Plugin(error)) if !error.is_the_hosts() => Scanned::Whole,
            Err(error) => {
                tracing::warn!(file = %file.display(), code = error.code(), %error, "a plugin file was not taken; it is tried again");
                Scanned::TryAgain
            }
            Ok(_) => {
                self.version_changed();
                Scanned::Whole
            }
        }
    }
}

fn components(dir: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(dir)? {
        let file = entry?.path();
        // A link counts as what it leads to; one that leads nowhere is as good as none.
        if file.extension().is_some_and(|extension| extension == "wasm")
            && let Ok(data) = std::fs::metadata(&file)
        {
            let stamp = (data.modified()?, data.len());
            files.push((file, stamp));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads an ordinary file of a fit size; what else it is otherwise: a pipe or a device could keep a reader for ever.
fn read(file: &Path, bytes_max: u64) -> io::Result<Result<Vec<u8>, String>> {
    let data = std::fs::metadata(file)?;
    if !data.is_file() {
        return Ok(Err("it is no ordinary file".into()));
    }
    if data.len() > bytes_max {
        return Ok(Err(format!("it has {} bytes, more than the {bytes_max} that it may", data.len())));
    }
    std::fs::read(file).map(Ok)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
