//! The embedded durable store of hookmill.
