//! Where what came of a fixture is not what was expected.

use std::fmt;

/// One place where an outcome differs from what was expected. In words, it is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// It ended in another way: sent, skipped or failed.
    Outcome {
        /// What was expected, as a clause.
        expected: String,
        /// What came of it, as a clause.
        actual: String,
    },
    /// A part of the request is another.
    Part {
        /// Which, such as `the header x-site`.
        part: String,
        /// What was expected there.
        expected: String,
        /// What is there.
        actual: String,
    },
    /// The JSON body is another.
    Body {
        /// The body that was expected, compact.
        expected: String,
        /// The body as it is; compact, if it is JSON.
        actual: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome { expected, actual } => write!(f, "{expected}, but {actual}"),
            Self::Part { part, expected, actual } => write!(f, "{part} is {actual:?}, and {expected:?} was expected"),
            Self::Body { expected, actual } => write!(f, "the body is {actual:?}, and {expected:?} was expected"),
        }
    }
}
