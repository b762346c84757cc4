//! The receiver: keeps count of what arrives, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A running receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    pub(crate) url: String,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State_>,
    arrived: Notify,
}

#[derive(Default)]
struct State_ {
    /// The times at which each delivery arrived.
    arrivals: HashMap<String, Instant>,
    /// When each document arrived, by its name.
    documents: HashMap<String, Instant>,
    duplicates: usize,
    invoices: usize,
    messages: usize,
    broken: usize,
    sample: Bytes,
}

pub(crate) struct Counts {
    pub(crate) distinct: usize,
    pub(crate) invoices: usize,
    pub(crate) messages: usize,
    pub(crate) broken: usize,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(receive).with_state(shared.clone());
        #[allow(clippy::disallowed_methods, reason = "lives as long as the bench")]
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { shared, url }
    }

    fn state(&self) -> MutexGuard<'_, State_> {
        self.shared.state.lock().expect("no panic while locked")
    }

    /// Returns a body that arrived, to be posted by the bare loop.
    pub(crate) fn sample(&self) -> Bytes {
        self.state().sample.clone()
    }

    pub(crate) fn duplicates(&self) -> usize {
        self.state().duplicates
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            distinct: state.arrivals.len(),
            invoices: state.invoices,
            messages: state.messages,
            broken: state.broken,
        }
    }

    /// Returns how many requests arrived.
    pub(crate) fn received(&self) -> usize {
        let state = self.state();
        state.arrivals.len() + state.duplicates
    }

    /// Returns how many distinct deliveries arrived.
    pub(crate) fn distinct(&self) -> usize {
        self.state().arrivals.len()
    }

    /// Waits until so many distinct deliveries arrived.
    pub(crate) async fn wait_for(&self, distinct: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.distinct() >= distinct {
                return;
            }
            arrived.await;
        }
    }

    /// Returns when a document arrived, once it did.
    pub(crate) async fn arrival(&self, document: &str) -> Instant {
        loop {
            let arrived = self.shared.arrived.notified();
            if let Some(when) = self.state().documents.get(document).copied() {
                return when;
            }
            arrived.await;
        }
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) {
    let now = Instant::now();
    let text = String::from_utf8_lossy(&body);
    // Frappe's requests have no id; each of these has the name of a document of its own.
    let of_frappe = || text.strip_prefix(r#"{"id": ""#).and_then(|rest| rest.split('"').next());
    let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()).or_else(of_frappe) else { return };
    // Each plugin's whole shape, first and last bytes: half of one and half of another would fit neither.
    let invoice = text.strip_prefix(r#"{"reference":""#).filter(|_| text.ends_with("}}"));
    let message = text.strip_prefix(r#"{"text":"Quotation "#).filter(|_| text.ends_with("}]}]}"));
    let document = invoice.or(message).and_then(|rest| rest.split(['"', ' ']).next());
    let mut state = shared.state.lock().expect("no panic while locked");
    match (invoice.is_some(), message.is_some()) {
        (true, false) => state.invoices += 1,
        (false, true) => state.messages += 1,
        _ => state.broken += 1,
    }
    if let Some(document) = document {
        state.documents.insert(document.to_owned(), now);
    }
    if state.arrivals.insert(id.to_owned(), now).is_some() {
        state.duplicates += 1;
    }
    state.sample = body;
    drop(state);
    shared.arrived.notify_waiters();
}
