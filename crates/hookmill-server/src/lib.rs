//! The REST API of hookmill.
