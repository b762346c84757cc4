//! The embeddable webhook engine.
