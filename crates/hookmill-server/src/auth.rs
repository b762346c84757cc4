//! Who may call: whoever shows the bearer token (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use crate::problem::Problem;
use crate::token::Token;

/// Lets a request pass if it bears the token.
pub(crate) async fn require(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = shown.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if bearer.is_some_and(|shown| token.is(shown)) {
        return next.run(request).await;
    }
    let detail = if bearer.is_some() { "the bearer token is wrong" } else { "the request has no bearer token" };
    let mut answer = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .help("send `Authorization: Bearer TOKEN`; the token was printed at the first start, or is HOOKMILL_TOKEN")
        .into_response();
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}
