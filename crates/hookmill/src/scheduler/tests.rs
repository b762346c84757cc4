//! Turns, caps, lanes and times.

use std::time::Duration;

use super::*;
use crate::guests::Pace;
use hookmill_core::ports::Pending;
use hookmill_core::{DeliveryId, EventId, TenantId, WebhookName};
use jiff::Timestamp;

fn at(second: u64) -> Moment {
    Moment::new(Duration::from_secs(second))
}

fn ticket(key: i64, receiver: &str, document: Option<&str>, due: u64) -> Ticket {
    let tenant = TenantId::default_tenant();
    let webhook = WebhookName::new(receiver).expect("valid");
    let id = DeliveryId::of(&tenant, &EventId::new(key.to_string()).expect("valid"), &webhook);
    let lane = document.map(|document| Lane {
        tenant: tenant.clone(),
        webhook: webhook.clone(),
        doctype: "Note".into(),
        document: document.into(),
    });
    let pending = Pending {
        key: DeliveryKey(key),
        id,
        tenant,
        webhook,
        doctype: "Note".into(),
        document: document.unwrap_or("").into(),
        tries: 0,
        due: Timestamp::UNIX_EPOCH,
        replay: None,
    };
    let receiver = Receiver { name: receiver.into(), rate: None, pace: None };
    Ticket { pending, due: at(due), receiver, lane, event: None, held: false, past_trial: false, gathers: false }
}

fn scheduler(in_flight_max: usize, per_receiver: usize) -> Scheduler {
    Scheduler::new(SchedulerLimits {
        in_flight_max,
        in_flight_per_receiver_max: per_receiver,
        waiting_bytes_max: 1 << 20,
        circuit: CircuitPolicy { failures_max: 3, ..CircuitPolicy::default() },
    })
}

fn start_all(scheduler: &mut Scheduler, now: u64) -> Vec<Ticket> {
    std::iter::from_fn(|| scheduler.next(at(now))).collect()
}

fn keys(tickets: &[Ticket]) -> Vec<i64> {
    tickets.iter().map(|ticket| ticket.pending.key.0).collect()
}

#[test]
fn receivers_take_turns() {
    let mut scheduler = scheduler(100, 100);
    for key in 0..4 {
        scheduler.add(ticket(key, "busy", None, 0), at(0));
    }
    scheduler.add(ticket(9, "quiet", None, 0), at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [0, 9, 1, 2, 3]);
}

#[test]
fn a_receiver_at_its_cap_holds_up_nobody_else() {
    let mut scheduler = scheduler(100, 2);
    for key in 0..5 {
        scheduler.add(ticket(key, "slow", None, 0), at(0));
    }
    scheduler.add(ticket(9, "quick", None, 0), at(0));
    let started = start_all(&mut scheduler, 0);
    assert_eq!(keys(&started), [0, 9, 1]);
    scheduler.done(&started[0], None, Felt::Well, at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [2]);
    assert_eq!((scheduler.waiting(), scheduler.in_flight()), (2, 3));
}

#[test]
fn what_is_due_later_starts_when_its_time_has_come() {
    let mut scheduler = scheduler(100, 100);
    scheduler.add(ticket(1, "r", None, 20), at(0));
    scheduler.add(ticket(2, "r", None, 10), at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 9)), [0; 0]);
    assert_eq!(scheduler.next_due(), Some(at(10)));
    assert_eq!(keys(&start_all(&mut scheduler, 30)), [2, 1]);
}

#[test]
fn a_lane_keeps_its_order_through_a_retry_and_other_lanes_go_on() {
    let mut scheduler = scheduler(100, 100);
    scheduler.add(ticket(1, "r", Some("A"), 0), at(0));
    scheduler.add(ticket(2, "r", Some("A"), 0), at(0));
    scheduler.add(ticket(3, "r", Some("B"), 0), at(0));
    let started = start_all(&mut scheduler, 0);
    assert_eq!(keys(&started), [1, 3]);
    scheduler.done(&started[0], Some(ticket(1, "r", Some("A"), 5)), Felt::Well, at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 4)), [0; 0], "the head of the lane is to be tried again first");
    let again = start_all(&mut scheduler, 5);
    assert_eq!(keys(&again), [1]);
    scheduler.done(&again[0], None, Felt::Well, at(5));
    assert_eq!(keys(&start_all(&mut scheduler, 5)), [2]);
}

#[test]
fn one_that_is_sent_again_goes_before_a_later_one_that_waits_for_its_time() {
    let mut scheduler = scheduler(100, 100);
    scheduler.add(ticket(2, "r", Some("A"), 0), at(0));
    scheduler.add(ticket(3, "r", Some("A"), 0), at(0));
    let started = start_all(&mut scheduler, 0);
    scheduler.done(&started[0], Some(ticket(2, "r", Some("A"), 5)), Felt::Well, at(0));
    scheduler.add(ticket(1, "r", Some("A"), 1), at(1));
    assert_eq!(scheduler.waiting(), 3);
    let older = start_all(&mut scheduler, 6);
    assert_eq!(keys(&older), [1]);
    scheduler.done(&older[0], None, Felt::Well, at(6));
    for expected in [2, 3] {
        let started = start_all(&mut scheduler, 6);
        assert_eq!(keys(&started), [expected]);
        scheduler.done(&started[0], None, Felt::Well, at(6));
    }
    assert_eq!((scheduler.waiting(), scheduler.in_flight()), (0, 0));
}

#[test]
fn a_delivery_that_is_here_can_not_come_again() {
    let mut scheduler = scheduler(10, 10);
    scheduler.add(ticket(1, "r", None, 0), at(0));
    assert!(!scheduler.claim(DeliveryKey(1)), "it waits");
    let started = start_all(&mut scheduler, 0);
    assert!(!scheduler.claim(DeliveryKey(1)), "it is under way");
    scheduler.done(&started[0], None, Felt::Well, at(0));
    assert!(scheduler.claim(DeliveryKey(1)), "it is settled");
    assert!(!scheduler.claim(DeliveryKey(1)), "somebody else was first");
    scheduler.disclaim(DeliveryKey(1));
    assert!(scheduler.claim(DeliveryKey(1)));
}

#[test]
fn everything_ends_with_nothing_left_behind() {
    let mut scheduler = scheduler(3, 2);
    for key in 0..50 {
        let document = (key % 3 == 0).then_some("D");
        scheduler.add(ticket(key, if key % 2 == 0 { "even" } else { "odd" }, document, key.unsigned_abs() % 5), at(0));
    }
    let mut seen = Vec::new();
    for _ in 0..50 {
        let ticket = scheduler.next(at(10)).expect("one more");
        scheduler.done(&ticket, None, Felt::Well, at(10));
        seen.push(ticket.pending.key.0);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!((scheduler.waiting(), scheduler.in_flight(), scheduler.waiting_bytes), (0, 0, 0));
    assert!(scheduler.present.is_empty());
    assert!(scheduler.lines.is_empty() && scheduler.lanes.is_empty() && scheduler.round.is_empty());
}

#[test]
fn documents_beyond_the_limit_wait_without_their_text() {
    let mut scheduler = scheduler(10, 10);
    let envelope = format!(r#"{{"doctype":"Note","doc_event":"e","doc":{{"t":"{}"}}}}"#, "x".repeat(600_000));
    let event = hookmill_core::EventEnvelope::parse(envelope.as_bytes())
        .and_then(|envelope| {
            envelope
                .into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, || EventId::new("e").expect("valid"))
        })
        .expect("an event");
    let event = Arc::new(event);
    for key in 0..3 {
        scheduler.add(Ticket { event: Some(event.clone()), ..ticket(key, "r", None, 0) }, at(0));
    }
    let with_text: Vec<bool> = start_all(&mut scheduler, 0).iter().map(|ticket| ticket.event.is_some()).collect();
    assert_eq!(with_text, [true, false, false]);
}

#[test]
fn a_receiver_that_fails_is_left_alone_until_a_probe_goes_well_and_nobody_loses_a_try() {
    let mut scheduler = scheduler(100, 100);
    for key in 0..10 {
        scheduler.add(ticket(key, "down", None, 0), at(0));
    }
    let mut last = None;
    for _ in 0..3 {
        let failed = scheduler.next(at(0)).expect("one more");
        let again = Ticket { due: at(5), ..failed.clone() };
        last = scheduler.done(&failed, Some(again), Felt::Ill(None), at(0));
    }
    assert_eq!(last, Some(Turned::Away(at(30))));
    scheduler.add(ticket(20, "up", None, 0), at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 29)), [20], "another receiver goes on");
    assert_eq!(scheduler.next_due(), Some(at(30)));
    let probe = start_all(&mut scheduler, 30);
    assert_eq!(keys(&probe), [3], "one probe");
    assert_eq!(scheduler.done(&probe[0], None, Felt::Ill(None), at(31)), Some(Turned::Away(at(91))));
    let probe = start_all(&mut scheduler, 91);
    assert_eq!(keys(&probe), [4]);
    assert_eq!(scheduler.done(&probe[0], None, Felt::Well, at(92)), Some(Turned::Back));
    assert_eq!(keys(&start_all(&mut scheduler, 92)), [5, 6, 7, 8, 9, 0, 1, 2], "everything goes");
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it_for_all_that_waits() {
    let mut scheduler = scheduler(100, 100);
    (0..3).for_each(|key| scheduler.add(ticket(key, "r", None, 0), at(0)));
    let first = scheduler.next(at(0)).expect("one");
    assert_eq!(scheduler.done(&first, None, Felt::Ill(Some(at(77))), at(0)), None);
    assert_eq!(keys(&start_all(&mut scheduler, 76)), [0; 0]);
    assert_eq!(keys(&start_all(&mut scheduler, 77)), [1, 2]);
}

#[test]
fn a_rate_spaces_what_goes_out_and_other_receivers_go_on() {
    let mut scheduler = scheduler(100, 100);
    let rate = Some(serde_json::from_str("\"6/m\"").expect("a rate"));
    for key in 0..3 {
        let mut slow = ticket(key, "slow", None, 0);
        slow.receiver.rate = rate;
        scheduler.add(slow, at(0));
    }
    scheduler.add(ticket(9, "free", None, 0), at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [0, 9]);
    assert_eq!(keys(&start_all(&mut scheduler, 9)), [0; 0]);
    let second = start_all(&mut scheduler, 10);
    assert_eq!(keys(&second), [1]);
    scheduler.done(&second[0], None, Felt::Well, at(10));
    assert_eq!(keys(&start_all(&mut scheduler, 19)), [0; 0], "an answer does not make it quicker");
    assert_eq!(keys(&start_all(&mut scheduler, 20)), [2]);
}

#[test]
fn one_that_waits_is_taken_out_whenever_it_is_due_and_what_is_held_goes_in_its_order() {
    let mut scheduler = scheduler(100, 100);
    for key in [3, 1, 2] {
        scheduler.add(Ticket { held: true, ..ticket(key, "r", None, 30) }, at(0));
    }
    assert!(scheduler.waits_for_later(DeliveryKey(2)) && scheduler.withdraw(DeliveryKey(2)).is_some());
    assert!(!scheduler.waits_for_later(DeliveryKey(2)) && scheduler.withdraw(DeliveryKey(2)).is_none());
    scheduler.release_held(at(1));
    assert_eq!(keys(&start_all(&mut scheduler, 1)), [1, 3]);
}

#[test]
fn of_events_that_are_gathered_the_last_goes_when_the_first_was_due() {
    for document in [None, Some("D")] {
        let mut scheduler = scheduler(100, 100);
        let fresh = |key: i64, due: u64| Ticket {
            pending: Pending { document: "D".into(), ..ticket(key, "r", document, due).pending },
            ..ticket(key, "r", document, due)
        };
        assert!(scheduler.gather(fresh(1, 10), at(0)).is_none());
        assert_eq!(scheduler.gather(fresh(2, 14), at(4)).map(|old| old.pending.key.0), Some(1));
        assert_eq!(scheduler.gather(fresh(3, 19), at(9)).map(|old| old.pending.key.0), Some(2));
        assert_eq!(keys(&start_all(&mut scheduler, 9)), [0; 0]);
        let started = start_all(&mut scheduler, 10);
        assert_eq!(keys(&started), [3]);
        assert!(scheduler.gather(fresh(4, 20), at(10)).is_none(), "that one is under way");
        assert_eq!(scheduler.gather(fresh(5, 25), at(15)).map(|old| old.pending.key.0), Some(4), "also in its lane");
        assert_eq!(keys(&start_all(&mut scheduler, 19)), [0; 0]);
        scheduler.done(&started[0], None, Felt::Well, at(20));
        let last = start_all(&mut scheduler, 20);
        assert_eq!(keys(&last), [5]);
        scheduler.done(&last[0], None, Felt::Well, at(20));
        assert_eq!((scheduler.waiting(), scheduler.in_flight(), scheduler.waiting_bytes), (0, 0, 0));
        assert!(scheduler.present.is_empty() && scheduler.gathering.is_empty() && scheduler.lanes.is_empty());
    }
}

#[test]
fn of_a_webhook_whose_guests_take_long_few_are_under_way_and_others_go_by() {
    let mut scheduler = scheduler(100, 100);
    let pace = Arc::<Pace>::default();
    for key in 0..8 {
        let mut slow = ticket(key, "slow", None, 0);
        slow.receiver = Receiver { name: "shared".into(), pace: Some(pace.clone()), ..slow.receiver };
        scheduler.add(slow, at(0));
    }
    scheduler.add(ticket(9, "shared", None, 0), at(0));
    let started = start_all(&mut scheduler, 0);
    assert_eq!(keys(&started), [0, 1, 2, 3, 9]);
    assert_eq!((scheduler.waiting(), scheduler.in_flight()), (4, 5));
    scheduler.rendered(DeliveryKey(0), at(0));
    scheduler.rendered(DeliveryKey(0), at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [4], "one, as one guest has ended");
    scheduler.done(&started[0], None, Felt::Well, at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [] as [i64; 0], "its guest had ended before");
    pace.took(Duration::from_micros(20));
    scheduler.done(&started[1], None, Felt::Well, at(0));
    assert_eq!(keys(&start_all(&mut scheduler, 0)), [5, 6, 7], "they take long no more");
    assert_eq!((scheduler.waiting(), scheduler.in_flight()), (0, 7));
}
