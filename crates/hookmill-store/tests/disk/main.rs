//! What the store owes when its disk fails or the power is cut: a watched disk, a workload, and what must be left.
//!
//! A binary of its own: it starts processes, and one that is being started holds for a moment every lock that this
//! process has, which other tests of the store would run into.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are tests too")]
#![allow(clippy::print_stdout, reason = "seeds and figures, for whoever looks at a test")]

mod failing_calls;
mod ledger;
mod power_cut;
mod watched;
mod workload;
