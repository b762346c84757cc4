//! Who may call: whoever shows the bearer token (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;
use crate::token::Token;

/// Lets a request pass if it bears the token.
pub(crate) async fn require(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    let bearer = bearer_of(request.headers());
    if bearer.is_some_and(|shown| token.is(shown)) {
        return next.run(request).await;
    }
    let detail = if bearer.is_some() { "the bearer token is wrong" } else { "the request has no bearer token" };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .help("send `Authorization: Bearer TOKEN`; the token was printed at the first start, or is HOOKMILL_TOKEN")
        .into_response()
}

/// Tells whether a request bears the token.
pub(crate) fn is_shown(token: &Token, headers: &HeaderMap) -> bool {
    bearer_of(headers).is_some_and(|shown| token.is(shown))
}

fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
