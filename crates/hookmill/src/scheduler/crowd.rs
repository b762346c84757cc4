//! Webhooks whose guests take long: few of their deliveries are under way before their guests have ended, for each waits
//! for a thread and would hold a place that others could use.

use std::collections::{HashMap, VecDeque};

use hookmill_core::ports::DeliveryKey;
use hookmill_core::{TenantId, WebhookName};

use super::Ticket;

/// Enough of one webhook that the threads for long guests never wait for the next.
const ADMITTED_MAX: usize = 4;

type Owner = (TenantId, WebhookName);

/// The deliveries of slow webhooks that may be under way, and those that wait for them.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    each: HashMap<Owner, Crowd>,
    admitted: HashMap<DeliveryKey, Owner>,
}

#[derive(Debug, Default)]
struct Crowd {
    admitted: usize,
    behind: VecDeque<Ticket>,
}

fn owner(ticket: &Ticket) -> Owner {
    (ticket.pending.tenant.clone(), ticket.pending.webhook.clone())
}

impl Crowds {
    /// Tells whether a delivery may be under way, as one of the few if its guest is slow.
    pub(super) fn admit(&mut self, ticket: &Ticket) -> bool {
        if !ticket.is_slow() || self.admitted.contains_key(&ticket.pending.key) {
            return true;
        }
        let owner = owner(ticket);
        let crowd = self.each.entry(owner.clone()).or_default();
        let is_room = crowd.admitted < ADMITTED_MAX;
        if is_room {
            crowd.admitted += 1;
            self.admitted.insert(ticket.pending.key, owner);
        }
        is_room
    }

    /// Lets one wait that was not admitted.
    pub(super) fn wait(&mut self, ticket: Ticket) {
        self.each.entry(owner(&ticket)).or_default().behind.push_back(ticket);
    }

    /// Takes note that the guest of a delivery has ended, or never began; returns those that may go now: the next, or all
    /// once their guests are quick.
    pub(super) fn leave(&mut self, key: DeliveryKey) -> Vec<Ticket> {
        let Some(owner) = self.admitted.remove(&key) else { return vec![] };
        let Some(crowd) = self.each.get_mut(&owner) else { return vec![] };
        crowd.admitted -= 1;
        let mut next = vec![];
        while let Some(ticket) = crowd.behind.front() {
            if ticket.is_slow() {
                if crowd.admitted == ADMITTED_MAX {
                    break;
                }
                crowd.admitted += 1;
                self.admitted.insert(ticket.pending.key, owner.clone());
            }
            next.extend(crowd.behind.pop_front());
        }
        if crowd.admitted == 0 && crowd.behind.is_empty() {
            self.each.remove(&owner);
        }
        next
    }
}
