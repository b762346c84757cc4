//! `plugin.toml`: what a plugin says of itself, embedded in its component as a custom section.

use hookmill_core::select::Selection;
use hookmill_core::{Explain, PluginName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::describe::check_schema;
use crate::limits::PluginLimits;
use crate::section;

/// The name of the custom section that holds the text of `plugin.toml`.
pub(crate) const SECTION: &str = "hookmill:plugin.toml";

/// Bytes of a manifest, which is stored with each version and shown.
const BYTES_MAX: usize = 64 * 1024;

/// The manifest of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name under which `hookmill plugin push` uploads it.
    pub name: PluginName,
    /// Whether an instance may serve one call after another, which spares a slow start. What a call leaves in its
    /// memory the next one finds, so the plugin must not depend on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warm: bool,
    /// The author's version, for people; hookmill tells versions by their digest.
    #[serde(default)]
    pub version: Option<String>,
    /// One line on what it does.
    #[serde(default)]
    pub description: Option<String>,
    /// A JSON Schema of its settings, written as TOML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// JSON pointers of all that it may see of a document; without them it sees the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selection>,
    /// The limits that are enough for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<WantedLimits>,
    /// The directory of its fixtures, beside the manifest; `tests` if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
}

/// Limits that a plugin asks for: a ceiling that it sets itself, never more than the host gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WantedLimits {
    /// Fuel of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// MiB of all linear memories together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<usize>,
}

impl WantedLimits {
    /// Returns the host's limits lowered to what is wanted; says so if more is wanted than there is.
    pub(crate) fn within(self, host: &PluginLimits) -> Result<PluginLimits, String> {
        let fuel_max = self.fuel.unwrap_or(host.fuel_max);
        let memory_bytes_max = self.memory_mib.map_or(host.memory_bytes_max, |mib| mib.saturating_mul(1 << 20));
        if fuel_max > host.fuel_max {
            return Err(format!("asks for {fuel_max} units of fuel, and plugins get at most {}", host.fuel_max));
        }
        if memory_bytes_max > host.memory_bytes_max {
            let (wanted, most) = (memory_bytes_max >> 20, host.memory_bytes_max >> 20);
            return Err(format!("asks for {wanted} MiB of memory, and plugins get at most {most}"));
        }
        Ok(PluginLimits { fuel_max, memory_bytes_max, ..*host })
    }
}

impl Manifest {
    /// Parses the text of a `plugin.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > BYTES_MAX {
            return Err(ManifestError(format!("it has {} bytes, more than {BYTES_MAX}", text.len())));
        }
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError(error.to_string().trim().to_owned()))?;
        manifest
            .settings
            .as_ref()
            .map(check_schema)
            .transpose()
            .map_err(|cause| ManifestError(format!("it has {cause}")))?;
        Ok(manifest)
    }

    /// Returns `component` with the text of a `plugin.toml` embedded, after checking the text, in place of one that is
    /// there.
    pub fn embed(text: &str, component: &[u8]) -> Result<Vec<u8>, ManifestError> {
        Self::parse(text)?;
        let bare = section::strip(component, SECTION).map_err(ManifestError)?;
        Ok(section::append(&bare, SECTION, text.as_bytes()))
    }
}

/// A `plugin.toml` that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin.toml can't be read: {0}")]
pub struct ManifestError(pub(crate) String);

impl Explain for ManifestError {
    fn code(&self) -> &'static str {
        "plugin_bad_manifest"
    }

    fn help(&self) -> Option<String> {
        Some(
            "a manifest has `name`, and may have `version`, `description`, `settings`, `select`, `limits`, `warm` and `tests`"
                .into(),
        )
    }
}
