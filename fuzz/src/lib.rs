//! What cargo-fuzz runs. The same functions are run over the corpus by the tests of hookmill-delivery.

pub mod targets;
