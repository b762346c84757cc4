//! What a plugin says of itself, and whether settings are good for it.

use hookmill_core::{DeliveryId, Explain, Fault, JsonText};
use jiff::Timestamp;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bindings::v1::hookmill::plugin::types as wit;
use crate::call::{Plugin, Report};
use crate::fault::fault;

/// Bytes of a plugin's description.
const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;

/// Problems of one text of settings that are reported.
const PROBLEMS_MAX: usize = 20;

/// What a plugin says of itself through `describe`. Fields that hookmill does not know are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// Its name, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The author's version, for people.
    #[serde(default)]
    pub version: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// A JSON Schema of its settings.
    #[serde(default)]
    pub settings: Option<Value>,
}

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SettingsProblem {
    /// A stable word.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Where in the settings, as a JSON pointer; empty for the whole.
    pub path: String,
}

/// Why settings are not good for a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plugin does not take these settings: {}", list(.problems))]
pub struct SettingsError {
    /// Everything that was found, at least one.
    pub problems: Vec<SettingsProblem>,
}

fn list(problems: &[SettingsProblem]) -> String {
    let lines = problems.iter().map(|problem| match problem.path.as_str() {
        "" => problem.message.clone(),
        path => format!("{path}: {}", problem.message),
    });
    lines.collect::<Vec<_>>().join("; ")
}

impl Explain for SettingsError {
    fn code(&self) -> &'static str {
        "plugin_bad_settings"
    }

    fn help(&self) -> Option<String> {
        Some("`hookmill plugin inspect` shows the schema that the settings must meet".into())
    }
}

impl Plugin {
    /// Asks the plugin to describe itself; none if it does not.
    pub(crate) fn describe(&self, seed: &DeliveryId) -> Option<Result<Description, Fault>> {
        let describe = self.exports().describe.as_ref()?;
        let report: Report<String> = self.run(Timestamp::UNIX_EPOCH, seed, |store, instance| {
            describe.load(&mut *store, instance)?.call_describe(&mut *store)
        });
        Some(report.result.and_then(|text| parse(&text)))
    }

    /// Returns the JSON Schema of its settings: from `describe`, else from its manifest.
    pub fn settings_schema(&self) -> Option<&Value> {
        let described = self.description().and_then(|description| description.settings.as_ref());
        described.or_else(|| self.inspection().manifest.as_ref()?.settings.as_ref())
    }

    /// Holds settings against the plugin's schema, then asks the plugin itself. Blocks as
    /// [`transform`](Self::transform) does.
    ///
    /// A plugin that fails while it checks has not taken them.
    pub fn check_settings(&self, settings: &JsonText, seed: &DeliveryId) -> Result<(), SettingsError> {
        let mut problems = self.settings_schema().map(|schema| against(schema, settings)).unwrap_or_default();
        if problems.is_empty()
            && let Some(describe) = &self.exports().describe
        {
            let report = self.run(Timestamp::UNIX_EPOCH, seed, |store, instance| {
                describe.load(&mut *store, instance)?.call_validate_settings(&mut *store, settings.as_str())
            });
            problems = match report.result {
                Ok(Ok(())) => vec![],
                Ok(Err(found)) => found.into_iter().take(PROBLEMS_MAX).map(from_guest).collect(),
                Err(fault) => vec![SettingsProblem { code: fault.code, message: fault.message, path: String::new() }],
            };
        }
        if problems.is_empty() { Ok(()) } else { Err(SettingsError { problems }) }
    }
}

fn parse(text: &str) -> Result<Description, Fault> {
    let refused = |cause: String| fault("plugin_bad_description", format!("`describe` returned {cause}"));
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(refused(format!("{} bytes, more than {DESCRIPTION_BYTES_MAX}", text.len())));
    }
    let description: Description =
        serde_json::from_str(text).map_err(|error| refused(format!("what is no description: {error}")))?;
    if let Some(schema) = &description.settings {
        check_schema(schema).map_err(refused)?;
    }
    Ok(description)
}

/// References in a schema. Each may double what comes before, so that a long chain of pairs never ends.
const REFERENCES_MAX: usize = 32;

/// Checks that a schema is one, and that settings can be held against it in reasonable time.
pub(crate) fn check_schema(schema: &Value) -> Result<(), String> {
    let references = references(schema);
    if references > REFERENCES_MAX {
        return Err(format!("a settings schema with {references} references, more than {REFERENCES_MAX}"));
    }
    validator(schema).map(drop).map_err(|error| format!("a settings schema that is none: {error}"))
}

fn references(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => {
            let own = fields.keys().filter(|key| matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef"));
            own.count() + fields.values().map(references).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(references).sum(),
        _ => 0,
    }
}

/// Prepares a schema, whose patterns come from strangers: they are matched in linear time.
fn validator(schema: &Value) -> Result<Validator, ValidationError<'_>> {
    jsonschema::options().with_pattern_options(PatternOptions::regex()).build(schema)
}

fn against(schema: &Value, settings: &JsonText) -> Vec<SettingsProblem> {
    let problem = |code: &str, message: String, path: String| SettingsProblem { code: code.into(), message, path };
    let value: Value = match serde_json::from_str(settings.as_str()) {
        Ok(value) => value,
        Err(error) => return vec![problem("not_json", error.to_string(), String::new())],
    };
    match validator(schema) {
        Ok(validator) => validator
            .iter_errors(&value)
            .take(PROBLEMS_MAX)
            .map(|error| problem("schema", error.to_string(), error.instance_path().to_string()))
            .collect(),
        // It was checked when the plugin was taken in.
        Err(error) => vec![problem("bad_schema", error.to_string(), String::new())],
    }
}

fn from_guest(problem: wit::Problem) -> SettingsProblem {
    let cut = |text: String| text.chars().take(500).collect::<String>();
    SettingsProblem {
        code: cut(problem.code),
        message: cut(problem.message),
        path: cut(problem.path.unwrap_or_default()),
    }
}
