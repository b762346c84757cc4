//! Every call of the REST API, over real HTTP.

mod access;
mod client;
mod deliveries;
mod events;
mod fixtures;
mod frappe;
mod frappe_source;
mod overload;
mod plugins;
mod trying;
mod webhooks;
