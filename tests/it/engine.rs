//! What an embedder of the engine sees.

mod clocks;
mod contract;
mod delivering;
mod failing;
mod faults;
mod judging;
mod life_cycle;
mod ordering;
mod plugins;
mod receivers;
mod recovery;
mod redelivering;
mod replaying;
mod retaining;
mod secrets;
