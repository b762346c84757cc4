//! The binary, run as its users run it.

mod author;
mod crash;
mod demo;
mod operator;
mod serve;
mod support;
