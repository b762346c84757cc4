//! Why the engine did not do as asked.

use crate::diff::PluginDiff;
use crate::seal::SecretKeyError;
use hookmill_core::ports::{StoreError, StoreErrorKind};
use hookmill_core::{EventError, Explain, InvalidName, SourceError, WebhookError};
use hookmill_delivery::{AddressRefused, ClientError, RouteError};
use hookmill_plugin::{HostError, LoadPluginError, SettingsError};

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store can't be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host for plugins can't be set up.
    #[error(transparent)]
    Plugins(#[from] HostError),
    /// The HTTP client can't be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The plugin directory can't be watched.
    #[error("failed to watch the plugin directory {dir}: {cause}")]
    Watch {
        /// The directory.
        dir: String,
        /// What the system said.
        cause: String,
    },
    /// What the store keeps of the plugins can't be read.
    #[error("failed to read the stored plugins: {cause}")]
    StoredPlugins {
        /// What is wrong.
        cause: String,
    },
    /// The key for secrets can't be used, or is the wrong one.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    /// A thread can't be started.
    #[error("failed to start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Explain for StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Plugins(error) => error.code(),
            Self::Client(_) => "client_failed",
            Self::Watch { .. } => "plugins_dir_unwatchable",
            Self::StoredPlugins { .. } => "store_damaged",
            Self::SecretKey(error) => error.code(),
            Self::Thread(_) => "thread_failed",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.help(),
            Self::Plugins(error) => error.help(),
            Self::Client(_) | Self::StoredPlugins { .. } => None,
            Self::Watch { .. } => Some("make the directory, or raise fs.inotify.max_user_watches".into()),
            Self::SecretKey(error) => error.help(),
            Self::Thread(_) => Some("raise the limit of processes (`ulimit -u`)".into()),
        }
    }
}

/// Why the engine did not do what one call asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The event is not one.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Another event has this id.
    #[error("another event with the id {id:?} is recorded already, and says something else")]
    EventIdTaken {
        /// The id.
        id: String,
    },
    /// The event bears the DocType of hookmill's own news.
    #[error("the DocType `hookmill` is that of hookmill's own events")]
    ReservedDoctype,
    /// What a source sent, or what is to be set for it, was not taken.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The webhook is not one.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// What the webhook says of sending can't be done.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The webhook's URL names an address that requests may not go to.
    #[error(transparent)]
    Address(#[from] AddressRefused),
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The plugin was not taken.
    #[error(transparent)]
    Plugin(#[from] LoadPluginError),
    /// The plugin does not take the webhook's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Another version of a plugin would change what is sent, and was to be activated only if it does not.
    #[error("the version would change what is sent for {} of the last {} events, {} of them to failures", .0.changed, .0.events, .0.new_failures)]
    WouldChange(Box<PluginDiff>),
    /// There is no such thing.
    #[error("there is no {kind} {name:?}")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The thing is in a state in which this can't be done.
    #[error("{what}")]
    Conflict {
        /// The stable code.
        code: &'static str,
        /// What is the matter.
        what: String,
    },
    /// So much waits that no more is taken.
    #[error("{waiting} deliveries wait already, and no more are taken for now")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// The engine is stopping.
    #[error("hookmill is shutting down")]
    ShuttingDown,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    pub(crate) fn not_found(kind: &'static str, name: impl std::fmt::Display) -> Self {
        Self::NotFound { kind, name: name.to_string() }
    }
}

impl Explain for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Event(error) => error.code(),
            Self::EventIdTaken { .. } => "event_id_taken",
            Self::ReservedDoctype => "event_doctype_reserved",
            Self::Source(error) => error.code(),
            Self::Webhook(error) => error.code(),
            Self::Route(error) => error.code(),
            Self::Address(error) => error.code(),
            Self::Name(error) => error.code(),
            Self::Plugin(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::WouldChange(_) => "plugin_would_change",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { code, .. } => code,
            Self::Overloaded { .. } => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::Store(error) => error.code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Event(error) => error.help(),
            Self::EventIdTaken { .. } => Some("give each event an id of its own, or leave it out".into()),
            Self::ReservedDoctype => {
                Some("name your DocType otherwise; a webhook for `hookmill` hears its news".into())
            }
            Self::Source(error) => error.help(),
            Self::Webhook(error) => error.help(),
            Self::Route(error) => error.help(),
            Self::Address(error) => error.help(),
            Self::Name(error) => error.help(),
            Self::Plugin(error) => error.help(),
            Self::Settings(error) => error.help(),
            Self::WouldChange(_) => Some("look at the changes, then activate it without `if_unchanged`".into()),
            Self::NotFound { .. } | Self::Conflict { .. } => None,
            Self::Overloaded { .. } | Self::ShuttingDown => {
                Some("send it again later; an event with the same id is recorded once".into())
            }
            Self::Store(error) if error.kind == StoreErrorKind::Conflict => {
                Some("somebody changed it at the same time; try again".into())
            }
            Self::Store(error) => error.help(),
        }
    }
}
