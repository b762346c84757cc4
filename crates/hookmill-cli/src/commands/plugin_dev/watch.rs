//! What of a project is watched: its own files, not what tools make of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookmill::core::Digest;
use ignore::{DirEntry, WalkBuilder};
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{Debouncer, new_debouncer};
use tokio::sync::mpsc;

use crate::exit_code::{FAILED, Failure};

/// Long enough that saving several files is one change, short enough that nobody notices.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Made by tools, whether `.gitignore` says so or not.
const MADE: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Written by people and by tools.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// The files of a project by their content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, Digest>);

/// Watches a project for as long as it is kept.
pub(super) struct Watch {
    dir: PathBuf,
    watcher: Debouncer<RecommendedWatcher>,
    changes: mpsc::Receiver<()>,
}

impl Watch {
    pub(super) fn start(dir: &Path) -> Result<Self, Failure> {
        let (changed, changes) = mpsc::channel(1);
        let watcher = new_debouncer(DEBOUNCE, move |_event| {
            // One waiting signal is as good as two: a look takes in every file.
            let _waiting_already = changed.try_send(()).is_err();
        })
        .map_err(|error| unwatchable(dir, &error))?;
        Ok(Self { dir: dir.to_owned(), watcher, changes })
    }

    /// Looks at every file. A change after this is told by [`changed`](Self::changed).
    pub(super) fn look(&mut self) -> Result<Seen, Failure> {
        let mut files = BTreeMap::new();
        let walk = WalkBuilder::new(&self.dir)
            .require_git(false)
            .parents(false)
            .git_global(false)
            .git_exclude(false)
            .filter_entry(is_source)
            .build();
        // What goes away while it is looked at is gone at the next look.
        for entry in walk.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                // Each by itself, for the ignored ones may hold more than can be watched; again, for it may be another
                // of the same name; before its files are read, so that none changes unnoticed.
                let watching = self.watcher.watcher().watch(path, RecursiveMode::NonRecursive);
                watching.or_else(|error| if path.is_dir() { Err(unwatchable(path, &error)) } else { Ok(()) })?;
            } else if let Ok(content) = std::fs::read(path) {
                files.insert(path.to_owned(), Digest::of(&content));
            }
        }
        Ok(Seen(files))
    }

    /// Takes what a build wrote into lock files as seen.
    pub(super) fn leave_out_what_tools_wrote(&self, seen: &mut Seen) {
        for path in LOCK_FILES.map(|name| self.dir.join(name)) {
            if let Ok(content) = std::fs::read(&path) {
                seen.0.insert(path, Digest::of(&content));
            }
        }
    }

    /// Resolves once a file is another than it was when `seen` was, and nothing more happens: a file may be half written,
    /// and several may be saved at once.
    pub(super) async fn changed(&mut self, seen: &Seen) -> Result<(), Failure> {
        while self.look()? == *seen {
            // It ends with the watcher only, which is kept here.
            let _told = self.changes.recv().await;
        }
        while tokio::time::timeout(2 * DEBOUNCE, self.changes.recv()).await.is_ok() {}
        Ok(())
    }
}

fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || (!MADE.contains(&&*name) && !name.ends_with(".wasm"))
}

fn unwatchable(dir: &Path, error: &notify_debouncer_mini::notify::Error) -> Failure {
    Failure::new(FAILED, "cannot_watch", format!("{} can't be watched: {error}", dir.display()))
        .help("raise fs.inotify.max_user_watches and max_user_instances")
}
