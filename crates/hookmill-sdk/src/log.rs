//! The attempt's log: what a plugin writes here stands beside its request, for whoever reads the delivery later.
//!
//! In a component the lines go to the host. Elsewhere they go to stderr, or to
//! [`testing::logged`](crate::testing::logged).

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the contract is frozen")]
pub enum Level {
    /// For the plugin's author only.
    Debug,
    /// The ordinary course of things.
    Info,
    /// Odd, but the plugin can go on.
    Warn,
    /// The plugin can't do its work.
    Error,
}

/// Writes a line for the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// Writes a line on the ordinary course of things.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Writes a line on something odd.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// Writes a line on what keeps the plugin from its work.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    use crate::bindings::hookmill::plugin::log;
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::write;

/// Writes a formatted line for the plugin's author.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::debug(::std::format!($($line)+)) };
}

/// Writes a formatted line on the ordinary course of things.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::info(::std::format!($($line)+)) };
}

/// Writes a formatted line on something odd.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::warn(::std::format!($($line)+)) };
}

/// Writes a formatted line on what keeps the plugin from its work.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::error(::std::format!($($line)+)) };
}
