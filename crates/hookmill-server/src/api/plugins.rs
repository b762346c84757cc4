//! `/v1/plugins`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use hookmill::core::{Digest, PluginName};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Api, Params, read_body, read_json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    #[serde(default = "yes")]
    activate: bool,
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
    let limits = *api.engine.plugin_limits();
    // One byte more, so that the engine says what the matter is in its own words.
    let wasm = read_body(body, limits.component_bytes_max + 1).await?;
    let version = api.engine.upload_plugin(&api.tenant, &name, wasm.into(), params.activate).await?;
    let limits = Limits {
        fuel: limits.fuel_max,
        memory_bytes: limits.memory_bytes_max,
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
}

pub(super) async fn activate(State(api): State<Api>, Path(name): Path<String>, body: Body) -> Answer {
    let name = PluginName::new(name)?;
    let Activate { digest } = read_json(body).await?;
    api.engine.activate_plugin(&api.tenant, &name, digest).await?;
    Ok(Json(api.engine.plugin(&api.tenant, &name).await?).into_response())
}

pub(super) async fn rollback(State(api): State<Api>, Path(name): Path<String>) -> Answer {
    let name = PluginName::new(name)?;
    api.engine.rollback_plugin(&api.tenant, &name).await?;
    Ok(Json(api.engine.plugin(&api.tenant, &name).await?).into_response())
}
