//! One transaction's worth of records: what each record does to the tables.
//!
//! Changes nothing in [`Shared`]; what a commit will change there is gathered in [`Staged`], so that a transaction
//! that is rolled back leaves no trace.

use std::collections::{BTreeSet, HashSet};

use hookmill_core::ports::{Appended, DeliveryKey, Reopen};
use hookmill_core::{DeliveryId, DeliveryState, EventId, TenantId, WebhookName};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::row::{self, AttemptRow, EventRow, Row};
use super::shared::{PLACE_BITS, Shared, event_content, keys_of, unknown};
use super::trouble::Trouble;

/// The numbers that the next event and the next attempt get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) event: i64,
    pub(super) attempt: i64,
}

/// What becomes true in memory once the transaction is committed.
#[derive(Debug)]
pub(super) struct Staged {
    next: Next,
    events: BTreeSet<(i64, i64)>,
    fresh: Vec<i64>,
    tried: HashSet<i64>,
    names: Vec<(i64, TenantId, WebhookName)>,
}

impl Staged {
    pub(super) fn new(next: Next) -> Self {
        Self { next, events: BTreeSet::new(), fresh: vec![], tried: HashSet::new(), names: vec![] }
    }

    /// Makes it true; returns the next numbers.
    pub(super) fn publish(self, shared: &Shared) -> Next {
        {
            let mut names = shared.names();
            for (id, tenant, name) in self.names {
                names.insert(id, tenant, name);
            }
        }
        shared.recent().extend(self.events);
        let mut fresh = shared.fresh();
        for key in self.tried {
            fresh.remove(&key);
        }
        fresh.extend(self.fresh);
        self.next
    }
}

/// The statements of the hot path, prepared once for a group.
pub(super) struct Apply<'a> {
    db: &'a Connection,
    shared: &'a Shared,
    insert_event: CachedStatement<'a>,
    insert_delivery: CachedStatement<'a>,
    insert_attempt: CachedStatement<'a>,
    update_delivery: CachedStatement<'a>,
    select_delivery: CachedStatement<'a>,
}

impl<'a> Apply<'a> {
    pub(super) fn new(db: &'a Connection, shared: &'a Shared) -> Result<Self, Trouble> {
        Ok(Self {
            db,
            shared,
            insert_event: db.prepare_cached(
                "INSERT INTO event (seq, tenant, id, doctype, doc_event, document, occurred_at, received_at, content,
                   user, meta, doc, before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            insert_delivery: db.prepare_cached(
                "INSERT INTO delivery (key, webhook, state, due, later, tries, attempts)
                 VALUES (?, ?, 'pending', ?, 0, 0, 0)",
            )?,
            insert_attempt: db.prepare_cached(
                "INSERT INTO attempt (seq, delivery, previous, sent, at, outcome, duration_ms, request, request_body,
                   response, response_body, plugin, judge, error, replay)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            update_delivery: db.prepare_cached(
                "UPDATE delivery SET state = ?2, due = ?3, later = 1, tries = ?4, attempts = ?5, last_attempt = ?6,
                   kept = ?7, last_status = ?8, reason = ?9 WHERE key = ?1",
            )?,
            select_delivery: db.prepare_cached(
                "SELECT tries, attempts, last_attempt, kept, last_status FROM delivery WHERE key = ?",
            )?,
        })
    }

    pub(super) fn row(&mut self, row: &Row, staged: &mut Staged) -> Result<Appended, Trouble> {
        match row {
            Row::Event(event) => self.event(event, staged),
            Row::Attempt(attempt) => self.attempt(attempt, staged).map(|()| Appended::Stored(vec![])),
            Row::Reopen(reopen, replay) => self.reopen(reopen, replay, staged).map(|()| Appended::Stored(vec![])),
        }
    }

    fn event(&mut self, row: &EventRow, staged: &mut Staged) -> Result<Appended, Trouble> {
        let event = &row.new.event;
        if let Some((seq, content)) = self.find(row, staged)? {
            return Ok(Appended::Duplicate {
                same_content: content == *row.new.content.as_bytes(),
                deliveries: self.deliveries(seq, &event.tenant, &event.id)?,
            });
        }
        let seq = staged.next.event;
        staged.next.event += 1;
        let received_at = row.new.received_at.as_microsecond();
        self.insert_event.execute(params![
            seq,
            event.tenant.as_str(),
            event.id.as_str(),
            event.doctype,
            event.doc_event,
            event.document,
            row.occurred_at,
            received_at,
            row.new.content.as_bytes(),
            event.user,
            row.meta,
            event.doc.as_str(),
            event.before.as_ref().map(|before| before.as_str()),
        ])?;
        staged.events.insert((row.key, seq));
        let mut keys = Vec::with_capacity(row.new.deliveries.len());
        for ((webhook, _), key) in row.new.deliveries.iter().zip(keys_of(seq)) {
            let webhook = self.webhook(&event.tenant, webhook, staged)?;
            self.insert_delivery.execute((key, webhook, received_at))?;
            keys.push(DeliveryKey(key));
        }
        staged.fresh.extend(keys.iter().map(|key| key.0));
        Ok(Appended::Stored(keys))
    }

    fn find(&self, row: &EventRow, staged: &Staged) -> Result<Option<(i64, [u8; 32])>, Trouble> {
        let (tenant, id) = (row.new.event.tenant.as_str(), row.new.event.id.as_str());
        for &(_, seq) in staged.events.range((row.key, i64::MIN)..=(row.key, i64::MAX)) {
            if let Some(content) = event_content(self.db, seq, tenant, id)? {
                return Ok(Some((seq, content)));
            }
        }
        self.shared.find_event(self.db, row.key, tenant, id)
    }

    /// Returns the ids of the deliveries that the event was recorded with.
    fn deliveries(&self, seq: i64, tenant: &TenantId, event: &EventId) -> Result<Vec<DeliveryId>, Trouble> {
        let mut statement = self.db.prepare_cached(
            "SELECT name FROM delivery JOIN webhook_name ON id = webhook WHERE key BETWEEN ? AND ? ORDER BY key",
        )?;
        let keys = keys_of(seq);
        let mut rows = statement.query((keys.start(), keys.end()))?;
        let mut ids = vec![];
        while let Some(row) = rows.next()? {
            let name = row.get::<_, String>(0)?;
            let name = WebhookName::new(name).map_err(|error| super::trouble::damaged("a webhook's name", error))?;
            ids.push(DeliveryId::of(tenant, event, &name));
        }
        Ok(ids)
    }

    fn webhook(&self, tenant: &TenantId, name: &WebhookName, staged: &mut Staged) -> Result<i64, Trouble> {
        if let Some(id) = self.shared.names().id(tenant, name) {
            return Ok(id);
        }
        if let Some((id, ..)) = staged.names.iter().find(|new| new.1 == *tenant && new.2 == *name) {
            return Ok(*id);
        }
        self.db.execute("INSERT INTO webhook_name (tenant, name) VALUES (?, ?)", (tenant.as_str(), name.as_str()))?;
        let id = self.db.last_insert_rowid();
        staged.names.push((id, tenant.clone(), name.clone()));
        Ok(id)
    }

    fn attempt(&mut self, row: &AttemptRow, staged: &mut Staged) -> Result<(), Trouble> {
        let past = self.past(row.new.delivery.0, staged)?;
        let (attempt, status) = (&row.new.attempt, &row.new.status);
        let seq = staged.next.attempt;
        let kept = if attempt.request.is_some() { Some(seq) } else { past.kept };
        let at = attempt.at.as_microsecond();
        // A pending delivery without a time would never be found again.
        let due = (status.state == DeliveryState::Pending)
            .then(|| status.next_attempt_at.map_or(at, |due| due.as_microsecond()));
        let changed = self.update_delivery.execute(params![
            row.new.delivery.0,
            status.state.as_str(),
            due,
            past.tries + 1,
            past.attempts + 1,
            seq,
            kept,
            attempt.response.as_ref().map(|response| response.status).or(past.last_status),
            status.reason,
        ])?;
        if changed == 0 {
            return Err(unknown(DeliveryKey(row.new.delivery.0)));
        }
        staged.next.attempt += 1;
        staged.tried.insert(row.new.delivery.0);
        self.insert_attempt.execute(params![
            seq,
            row.new.delivery.0,
            past.last_attempt,
            kept,
            at,
            attempt.outcome,
            attempt.duration_ms.cast_signed(),
            row.request,
            attempt.request.as_ref().map(|request| row::body(&request.body)),
            row.response,
            attempt.response.as_ref().map(|response| row::body(&response.body)),
            row.plugin,
            row.judge,
            row.error,
            row.replay,
        ])?;
        Ok(())
    }

    /// Returns what came before; a delivery known to be fresh need not be read.
    fn past(&mut self, key: i64, staged: &Staged) -> Result<Past, Trouble> {
        if !staged.tried.contains(&key) && self.shared.fresh().contains(&key) {
            return Ok(Past::default());
        }
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Past {
                tries: row.get(0)?,
                attempts: row.get(1)?,
                last_attempt: row.get(2)?,
                kept: row.get(3)?,
                last_status: row.get(4)?,
            })
        };
        self.select_delivery.query_row([key], read).optional()?.ok_or_else(|| unknown(DeliveryKey(key)))
    }

    fn reopen(&self, reopen: &Reopen, replay: &str, staged: &mut Staged) -> Result<(), Trouble> {
        let mut statement = self.db.prepare_cached(
            "UPDATE delivery SET state = 'pending', due = ?2, later = 1, tries = 0, reason = NULL,
               kept = iif(?3, NULL, kept), replay = ?4 WHERE key = ?1",
        )?;
        let Reopen { delivery, replay: round, due } = reopen;
        let changed = statement.execute((delivery.0, due.as_microsecond(), round.renders_again(), replay))?;
        if changed == 0 {
            return Err(unknown(reopen.delivery));
        }
        staged.tried.insert(reopen.delivery.0);
        Ok(())
    }
}

/// A delivery before an attempt.
#[derive(Debug, Default)]
struct Past {
    tries: i64,
    attempts: i64,
    last_attempt: Option<i64>,
    kept: Option<i64>,
    last_status: Option<u16>,
}

const _: () = assert!(PLACE_BITS == 16, "the comment at `delivery.key` in the schema says 65536");
