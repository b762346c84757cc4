//! What a webhook says of the plugin that makes its requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::WebhookError;
use crate::limits::ROWS_MAX;
use crate::{Digest, JsonText, PluginName};

/// A webhook's use of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginUse {
    /// The plugin.
    pub name: PluginName,
    /// A version to stay on; without one, the active version runs.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// Handed to the plugin as it is.
    #[serde(default = "JsonText::empty_object")]
    pub settings: JsonText,
    /// What happens to a delivery whose plugin failed.
    #[serde(default)]
    pub on_error: OnError,
    /// What it may change of the request besides headers and body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Secrets by name. The plugin writes `secret("name")` into a header's value and never sees the secret itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

/// A part of the request that a plugin may change only where the webhook grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grant {
    /// The URL; the address that it leads to is checked like any other.
    Url,
    /// The method.
    Method,
}

/// What happens to a delivery whose plugin failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnError {
    /// It waits for a person or a new version.
    #[default]
    Park,
    /// It goes out as it would without the plugin.
    SendDefault,
    /// It is skipped.
    Skip,
}

impl PluginUse {
    pub(super) fn check_secrets(&self) -> Result<(), WebhookError> {
        let good = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        match self.secrets.keys().find(|name| !good(name)) {
            Some(name) => {
                let rule = format!("has the name {name:?}; a name has letters, digits, `-`, `_` and `.`");
                Err(WebhookError::invalid("plugin.secrets", rule))
            }
            None if self.secrets.len() > ROWS_MAX => {
                Err(WebhookError::invalid("plugin.secrets", format!("has more than {ROWS_MAX} entries")))
            }
            None => Ok(()),
        }
    }
}
