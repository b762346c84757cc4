//! The binary, run as its users run it.

#![allow(clippy::panic, reason = "a test's way to say what is wrong")]

mod author;
mod crash;
mod demo;
mod languages;
mod operator;
mod printing;
mod receiver;
mod send;
mod serve;
mod support;
