//! `plugin.toml`: what a plugin says of itself, embedded in its component as a custom section.

use std::borrow::Cow;

use hookmill_core::{Explain, PluginName};
use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Encode as _, Section as _};

/// The name of the custom section that holds the text of `plugin.toml`.
pub(crate) const SECTION: &str = "hookmill:plugin.toml";

/// The manifest of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name under which `hookmill plugin push` uploads it.
    pub name: PluginName,
    /// The author's version, for people; hookmill tells versions by their digest.
    #[serde(default)]
    pub version: Option<String>,
    /// One line on what it does.
    #[serde(default)]
    pub description: Option<String>,
}

impl Manifest {
    /// Parses the text of a `plugin.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        toml::from_str(text).map_err(|error| ManifestError(error.to_string().trim().to_owned()))
    }

    /// Returns `component` with the text of a `plugin.toml` embedded, after checking the text.
    pub fn embed(text: &str, component: &[u8]) -> Result<Vec<u8>, ManifestError> {
        Self::parse(text)?;
        let section = CustomSection { name: Cow::Borrowed(SECTION), data: Cow::Borrowed(text.as_bytes()) };
        let mut bytes = component.to_vec();
        bytes.push(section.id());
        section.encode(&mut bytes);
        Ok(bytes)
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
        Some("a manifest has `name`, and may have `version` and `description`".into())
    }
}
