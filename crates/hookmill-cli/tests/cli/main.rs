//! The binary, run as its users run it.

#![allow(clippy::panic, reason = "a test's way to say what is wrong")]

mod author;
mod costs;
mod crash;
mod demo;
mod dev;
#[cfg(target_os = "linux")]
mod disk;
mod fixtures;
mod hostile;
mod import;
mod inspect;
mod languages;
mod operator;
mod printing;
mod project;
mod receiver;
mod replaying;
mod salvage;
mod secrets;
mod send;
mod serve;
mod support;
mod trying;
