//! `/v1/plugins`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::core::{Digest, PluginName};
use hookmill::{Activation, RedeliverReport};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Api, Params, UPLOAD_PART_BYTES, read_in_parts, read_json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    #[serde(default = "yes")]
    activate: bool,
    /// Whether the answer waits for the upload to go through all its states.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

/// The bounds under which a version runs.
#[derive(Debug, Serialize)]
struct Limits {
    fuel: u64,
    memory_bytes: usize,
    body_bytes: usize,
    log_bytes: usize,
    headers: usize,
}

pub(super) async fn list(State(api): State<Api>) -> Answer {
    Ok(Json(json!({"plugins": api.engine.plugins(&api.tenant).await})).into_response())
}

pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    Ok(Json(api.engine.plugin(&api.tenant, &PluginName::new(name)?).await?).into_response())
}

pub(super) async fn upload(
    State(api): State<Api>,
    Path(name): Path<String>,
    Params(params): Params<Upload>,
    body: Body,
) -> Answer {
    let name = PluginName::new(name)?;
    let limits = api.engine.plugin_limits(&api.tenant);
    // One byte more, so that the engine says what the matter is in its own words.
    let wasm = read_in_parts(body, limits.component_bytes_max + 1, UPLOAD_PART_BYTES).await?;
    if !params.wait {
        let upload = api.engine.begin_upload(&api.tenant, &name, wasm.into(), params.activate).await?;
        return Ok((StatusCode::ACCEPTED, Json(upload)).into_response());
    }
    let version = api.engine.upload_plugin(&api.tenant, &name, wasm.into(), params.activate).await?;
    // A manifest may ask for less than the host gives.
    let wanted = version.manifest.as_ref().and_then(|manifest| manifest.limits).unwrap_or_default();
    let limits = Limits {
        fuel: wanted.fuel.unwrap_or(limits.fuel_max),
        memory_bytes: wanted.memory_mib.map_or(limits.memory_bytes_max, |mib| mib << 20),
        body_bytes: limits.body_bytes_max,
        log_bytes: limits.log_bytes_max,
        headers: limits.headers_max,
    };
    let active = api.engine.plugin(&api.tenant, &name).await?.active == Some(version.digest);
    let answer = json!({
        "name": name, "digest": version.digest, "active": active, "bytes": version.bytes, "imports": version.imports,
        "exports": version.exports, "manifest": version.manifest, "limits": limits, "self_test": "passed",
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activate {
    digest: Digest,
    /// Only if nothing would change for the last recorded events.
    #[serde(default)]
    if_unchanged: bool,
    /// How many events that are.
    #[serde(default = "default_last")]
    last: usize,
    /// Makes deliveries again that the plugin parked.
    #[serde(default)]
    release_parked: bool,
}

fn default_last() -> usize {
    100
}

pub(super) async fn activate(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = PluginName::new(name)?;
    let Activate { digest, if_unchanged, last, release_parked } = read_json(body).await?;
    let how = Activation { if_unchanged: if_unchanged.then_some(last), release_parked };
    let released = api.engine.activate_plugin(&api.tenant, &name, digest, how).await?;
    now_running(&api, &name, release_parked.then_some(released)).await
}

/// How far one upload is.
pub(super) async fn upload_state(State(api): State<Api>, Path((name, id)): Path<(String, u64)>) -> Answer {
    Ok(Json(api.engine.upload(&api.tenant, &PluginName::new(name)?, id)?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Diff {
    digest: Digest,
    #[serde(default = "default_last")]
    last: usize,
}

pub(super) async fn diff(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = PluginName::new(name)?;
    let Diff { digest, last } = read_json(body).await?;
    Ok(Json(api.engine.diff_plugin(&api.tenant, &name, digest, last).await?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginCanary {
    digest: Digest,
    share: f64,
}

pub(super) async fn begin_canary(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = PluginName::new(name)?;
    let BeginCanary { digest, share } = read_json(body).await?;
    api.engine.begin_canary(&api.tenant, &name, digest, share).await?;
    Ok(Json(api.engine.plugin(&api.tenant, &name).await?).into_response())
}

pub(super) async fn end_canary(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let name = PluginName::new(name)?;
    api.engine.end_canary(&api.tenant, &name).await?;
    Ok(Json(api.engine.plugin(&api.tenant, &name).await?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Makes deliveries again that the plugin parked.
    #[serde(default)]
    release_parked: bool,
}

pub(super) async fn rollback(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = PluginName::new(name)?;
    let Rollback { release_parked } = read_json(body).await?;
    let (_, released) = api.engine.rollback_plugin(&api.tenant, &name, release_parked).await?;
    now_running(&api, &name, release_parked.then_some(released)).await
}

/// Answers with a plugin whose version was changed, and with what was released of parked deliveries if that was asked for.
async fn now_running(api: &Api, name: &PluginName, released: Option<RedeliverReport>) -> Answer {
    let mut answer = json!(api.engine.plugin(&api.tenant, name).await?);
    if let Some(released) = released {
        answer["released"] = json!(released);
    }
    Ok(Json(answer).into_response())
}
