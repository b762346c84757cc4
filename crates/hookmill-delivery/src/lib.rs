//! Builds, signs and sends one request.
