//! Every call of the REST API, over real HTTP.

mod access;
mod client;
mod deliveries;
mod events;
mod fixtures;
mod frappe;
mod plugins;
mod webhooks;
mod trying;
