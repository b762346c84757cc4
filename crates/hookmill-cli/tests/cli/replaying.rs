//! Many sent again: watched, left alone, cancelled.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::operator::{Site, site};
use crate::support::{command, wait_until};

/// A site with so many dead deliveries.
fn with_dead(count: usize, receiver: &[&str]) -> Site {
    let fail = count.to_string();
    let site = site(&[&["--fail-first", &fail], receiver].concat());
    site.apply("w", json!({"retry": {"preset": "none"}}));
    (0..count).for_each(|_| site.send_quotation());
    wait_until("all to be dead", || {
        let dead = site.server.call(["--json", "delivery", "list", "--state", "dead"]).json();
        dead["deliveries"].as_array().expect("a list").len() == count
    });
    site
}

/// Returns the only replay.
fn replay(site: &Site) -> Value {
    let listed = site.server.call(["--json", "delivery", "replays"]).json();
    assert_eq!(listed["replays"].as_array().expect("a list").len(), 1, "{listed}");
    listed["replays"][0].clone()
}

#[test]
fn a_replay_is_counted_first_then_watched_and_shown() {
    let site = with_dead(3, &[]);
    assert!(site.server.call(["delivery", "replays"]).ok().contains("nothing was sent again"));
    let counted = site.server.call(["delivery", "redeliver", "--state", "dead", "--dry-run"]).ok();
    assert_eq!(counted, "3 deliveries would be sent again\n  3 dead\n  3 w\n");
    let done = site.server.call(["delivery", "redeliver", "--state", "dead"]).ok();
    assert_eq!(done, "3 deliveries are sent again: 3 delivered\n");

    let job = replay(&site);
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["state"], &job["settled"]["delivered"]), (&json!("done"), &json!(3)));
    assert_eq!(site.server.call(["--json", "delivery", "replays", id]).json(), job);
    let listed = site.server.call(["delivery", "replays"]).ok();
    assert!(listed.contains(id) && listed.contains("3 delivered"), "{listed}");
    assert_eq!(site.server.call(["delivery", "replays", id]).ok(), done, "one that is over is told of at once");
    let late = site.server.call(["delivery", "replays", id, "--cancel"]).ok();
    assert!(late.starts_with("there was nothing left to cancel; 3 of 3"), "{late}");
    let unknown = site.server.call(["delivery", "replays", "rpl_unknown"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("[not_found]"), "{unknown:#?}");

    let delivered = site.wait_for("delivered");
    let shown = site.server.call(["delivery", "show", delivered["id"].as_str().expect("an id")]).ok();
    assert!(shown.contains(&format!("round 2 (as-sent of {id})")), "{shown}");
}

#[test]
fn the_server_goes_on_with_a_replay_that_nobody_watches() {
    let site = with_dead(2, &["--delay", "1m"]);
    let mut watching = command()
        .env("HOOKMILL_URL", &site.server.url)
        .args(["delivery", "redeliver", "--state", "dead"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_until("the replay to be done", || {
        let listed = site.server.call(["--json", "delivery", "replays"]).json();
        listed["replays"][0]["state"] == "done"
    });
    let id = replay(&site)["id"].as_str().expect("an id").to_owned();
    assert!(watching.try_wait().expect("it can be asked").is_none(), "it waits until they are tried");
    let interrupted = Command::new("kill").args(["-INT", &watching.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let output = watching.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && said.contains(&format!("the server goes on; `hookmill delivery replays {id}`")));
    assert_eq!(replay(&site)["redelivered"], 2);
}

#[test]
fn a_replay_can_be_begun_and_left_alone() {
    let site = with_dead(2, &[]);
    let job = site.server.call(["--json", "delivery", "redeliver", "--state", "dead", "--detach"]).json();
    assert!(job["id"].as_str().is_some_and(|id| id.starts_with("rpl_")), "{job}");
    wait_until("both to be delivered", || replay(&site)["settled"]["delivered"] == 2);
    let alone = site.server.call(["delivery", "redeliver", "dlv_1", "--detach"]);
    assert!(alone.code == Some(2) && alone.err.contains("[filter_missing]"), "{alone:#?}");
}
