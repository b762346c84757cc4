//! `plugin dev`: every change is built, tested, pushed and replayed, until Ctrl-C.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use crate::project::Project;
use crate::support::{PATIENCE, Running, document, ended_in_time, reader, wait_until};

/// Where nothing listens.
const NO_SERVER: &str = "http://127.0.0.1:9";

/// `plugin dev` on a project, with its lines as they come.
struct Dev {
    child: Child,
    lines: Receiver<String>,
}

impl Dev {
    fn start(project: &Project, url: &str) -> Self {
        let mut command = project.command();
        command.args(["plugin", "dev"]).env("HOOKMILL_URL", url);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = reader(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// Returns the lines up to the next that has this text in it.
    fn until(&self, text: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while !lines.last().is_some_and(|line| line.contains(text)) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(_) => panic!("{text:?} does not come; there was {lines:#?}"),
            }
        }
        lines
    }

    /// Returns the lines of a round.
    fn round(&self) -> String {
        self.until("waiting for a change").join("\n")
    }

    /// Presses Ctrl-C and returns the exit code.
    fn interrupt(mut self) -> Option<i32> {
        signal("-INT", &self.child.id().to_string());
        ended_in_time(&mut self.child)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

fn signal(signal: &str, id: &str) -> bool {
    Command::new("kill").args([signal, id]).stderr(Stdio::null()).status().expect("kill").success()
}

fn check(round: &str, parts: &[&str]) {
    for part in parts {
        assert!(round.contains(part), "{part:?} is missing in {round}");
    }
}

fn note(expect: &Value) -> Value {
    json!({"event": {"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}}, "expect": expect})
}

#[test]
fn every_change_is_built_and_tested_and_a_failure_waits_for_the_next() {
    let project = Project::new("slack", "rust_slack_message.wasm");
    project.write(".gitignore", "/scratch\n");
    let dev = Dev::start(&project, NO_SERVER);
    check(&dev.round(), &["✓ build", "- test", "there are no fixtures", "- push", "no hookmill server answers"]);
    project.fixture("a", &note(&json!({"skip": "never"})));
    check(
        &dev.round(),
        &["✓ build", "✗ test", "1 of 1 fixtures are not met", "✗ a", "but it sent a request", "--update"],
    );
    project.write("Makefile", "core.wasm: Makefile\n\techo this is wrong; false\n");
    let broken = dev.round();
    check(&broken, &["✗ build", "this is wrong", "[build_failed]"]);
    assert!(!broken.contains("test"), "{broken}");
    // What tools make and what is ignored does not count: only the change after it is told.
    project.write("target/made.txt", "made");
    project.write("scratch/ignored.txt", "ignored");
    project.write("plugin.toml", "name = 3\n");
    check(&dev.round(), &["✗ build", "[plugin_bad_manifest]"]);
    project.write("plugin.toml", "name = \"slack\"\n");
    project.build_into("rust_slack_message.wasm");
    project.write("tests/a.json", &note(&json!({"send": {}})).to_string());
    // Several files may be several changes.
    dev.until("the fixture is met");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn a_change_is_pushed_and_the_last_event_shows_what_it_does() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, receiver) = (Running::server(data.path()), Running::receiver(&[]));
    let project = Project::new("invoice", "rust_quotation_invoice.wasm");
    let dev = Dev::start(&project, &server.url);
    check(&dev.round(), &["✓ push", "invoice runs version", "- replay", "no event has matched a webhook"]);

    let webhook = json!({
        "doctype": "Quotation", "doc_event": "on_update", "request_url": receiver.url, "plugin": {"name": "invoice"},
    });
    project.write("webhook.json", &webhook.to_string());
    // A file beside the sources is a change too: the same again.
    dev.round();
    let webhook = project.path("webhook.json");
    server.call(["webhook", "apply", webhook.to_str().expect("UTF-8"), "--name", "in"]).ok();
    server.call(["event", "send", document("quotation-on-update.json").to_str().expect("UTF-8")]).ok();
    receiver.received();

    project.build_into("c_quotation_invoice.wasm");
    let same = dev.round();
    check(&same, &["✓ replay", "Quotation SAL-QTN-2026-00001 through the webhook in: the same request as before"]);
    project.build_into("rust_slack_message.wasm");
    let other = dev.round();
    check(&other, &["✓ replay", "body /reference: \"SAL-QTN-2026-00001\" → (nothing)", "body /blocks: (nothing) → ["]);
    project.fixture("unmet", &note(&json!({"skip": "never"})));
    let stays = dev.round();
    assert!(stays.contains("✗ test") && !stays.contains("push"), "{stays}");
    let plugins = server.call(["--json", "plugin", "list"]).json();
    assert_eq!(plugins["plugins"][0]["versions"].as_array().expect("versions").len(), 3);
    // Nothing was sent by all of that.
    assert_eq!(receiver.lines_so_far(), Vec::<String>::new());
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn ctrl_c_ends_a_build_that_is_under_way_with_all_of_its_processes() {
    let project = Project::new("slack", "rust_slack_message.wasm");
    project.write(
        "Makefile",
        "core.wasm:\n\techo $$$$ > started.unfinished; mv started.unfinished started; exec sleep 1000\n",
    );
    let dev = Dev::start(&project, NO_SERVER);
    wait_until("the build to start", || project.path("started").exists());
    let sleeping = project.read("started").trim().to_owned();
    assert!(signal("-0", &sleeping), "the tool does not run");
    assert_eq!(dev.interrupt(), Some(0));
    wait_until("the tool to end", || !signal("-0", &sleeping));
}

#[test]
fn what_is_no_project_is_told_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let refused = crate::support::run(["plugin", "dev", data.path().to_str().expect("UTF-8")]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.err.contains("[not_a_project]"), "{}", refused.err);
}
