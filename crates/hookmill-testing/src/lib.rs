//! Real parts for hookmill's tests: a receiver on a real socket, built components, sample documents, patience.
//!
//! Only test code depends on this crate. Nothing here stands in for a part of hookmill; it is the world around it.
#![allow(clippy::panic, reason = "a helper that can't do its work fails the test that called it")]

mod answer;
mod clock;
mod components;
mod disk;
mod documents;
mod faulty_store;
mod proxy;
mod receiver;
mod serving;
mod tls;
mod wait;

pub use answer::Answer;
pub use clock::SetClock;
pub use components::{example_plugin, guest, misbehaving, target_dir};
pub use disk::{FailingDisk, disk_shim};
pub use documents::{document, envelope, expected};
pub use faulty_store::{FaultyStore, StoreFault, StoreFaults};
pub use proxy::TunnelProxy;
pub use receiver::{Received, Receiver, RefusingAddress};
pub use tls::{Authority, Certified};
pub use wait::{PATIENCE, wait_for, wait_until};
