//! Taking over what Frappe exports.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::{Value, json};

use crate::operator::site;
use crate::support::{command, ended, ended_in_time, root, run, wait_until};

/// Attempts to save a Webhook on a real site, with what it answered.
fn attempts() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("tests/frappe/validation.json")).expect("the attempts are there");
    let attempts: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    // A change after the first save is not an import.
    attempts.into_iter().filter(|attempt| attempt["input"]["then"].is_null()).collect()
}

/// Returns the document that an attempt saved, under this name.
fn document(attempt: &Value, name: &str) -> Value {
    let mut document = json!({"doctype": "Webhook", "name": name, "webhook_doctype": "Note",
        "request_url": "http://example.com/in"});
    for (field, value) in attempt["input"].as_object().expect("an input") {
        match field.as_str() {
            "drop" => value.as_array().into_iter().flatten().filter_map(Value::as_str).for_each(|field| {
                document.as_object_mut().expect("an object").remove(field);
            }),
            _ => document[field] = value.clone(),
        }
    }
    document
}

/// What is not as on the site, and why: the label of the attempt, whether it is taken here.
const BY_INTENT: [(&str, bool); 4] = [
    // Nothing is run on an empty document.
    ("condition doc.total > 40000 (help text)", true),
    ("condition missing attribute", true),
    // Nothing could be sent there.
    ("url foo://bar", false),
    ("url http://{{ doc.host }}/x", false),
];

#[test]
fn what_a_site_refuses_is_refused_with_its_words() {
    let attempts = attempts();
    let documents: Vec<Value> =
        attempts.iter().enumerate().map(|(place, attempt)| document(attempt, &format!("v-{place}"))).collect();
    let doctypes = root().join("tests/frappe/doctypes.json");
    let doctypes = doctypes.to_str().expect("UTF-8");
    let mut command = command();
    command.args(["--json", "import", "frappe", "-", "--dry-run", "--doctypes", doctypes]);
    let told = ended(&mut command, &json!(documents).to_string());
    assert_eq!(told.code, Some(1), "{told:#?}");
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    let (mut compared, mut wrong) = (0, Vec::new());
    for (place, attempt) in attempts.iter().enumerate() {
        let label = attempt["label"].as_str().expect("a label");
        let name = document(attempt, &format!("v-{place}"))["name"].as_str().unwrap_or_default().to_owned();
        let refusal =
            told["refused"].as_array().expect("a list").iter().find(|refused| refused["name"] == name.as_str());
        let taken = BY_INTENT.iter().find(|(known, _)| *known == label).map(|(_, taken)| *taken);
        let should = taken.unwrap_or_else(|| attempt["result"]["ok"] == true);
        if refusal.is_none() != should {
            wrong.push(format!("{label}: {refusal:?} instead of {}", attempt["result"]));
        }
        // Conditions and templates are of another parser, which has words of its own.
        let other_words = label.starts_with("condition") || label.contains("template");
        if let (Some(refusal), Some(message), false) = (refusal, attempt["result"]["msg"].as_str(), other_words) {
            let expected = message.rsplit_once("v-").map_or_else(
                || message.trim().to_owned(),
                |(before, after)| {
                    format!("{before}{name}{}", after.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
                },
            );
            compared += 1;
            if refusal["message"] != expected.as_str() {
                wrong.push(format!("{label}: {} instead of {expected}", refusal["message"]));
            }
        }
    }
    println!("{} attempts, {compared} messages compared", attempts.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared >= 12, "{compared}");
}

#[test]
fn a_saved_form_loses_what_frappe_would_have_emptied() {
    let row = json!([{"fieldname": "title", "key": "t"}]);
    let form = |name: &str, structure: &str| {
        json!({"name": name, "webhook_doctype": "Note", "webhook_docevent": "on_update", "request_url": "http://h/",
            "request_method": "POST", "request_structure": structure, "webhook_data": row, "webhook_json": "{}", "timeout": 3600})
    };
    let documents = json!({"data": [form("json", "JSON"), form("form", "Form URL-Encoded"), form("both", "")]});
    let mut command = command();
    command.args(["--json", "import", "frappe", "-", "--dry-run", "--profile", "frappe-newest"]);
    let told = ended(&mut command, &documents.to_string()).json();
    let of = |name: &str| {
        let found = told["imported"].as_array().expect("a list").iter().find(|found| found["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing: {told}")).clone()
    };
    assert_eq!((&of("json")["webhook"]["data"], &of("json")["webhook"]["json_template"]), (&json!([]), &json!("{}")));
    assert_eq!(of("form")["webhook"]["json_template"], Value::Null);
    assert_eq!(of("both")["webhook"]["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(of("both")["webhook"]["json_template"], "{}");
    assert_eq!(of("both")["notes"][0]["field"], "timeout");
}

#[test]
fn an_export_is_saved_and_what_cannot_be_is_named_with_its_place_and_a_suggestion() {
    let site = site(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    let webhook = |name: &str, more: Value| {
        let mut webhook = json!({"doctype": "Webhook", "name": name, "webhook_doctype": "Quotation", "webhook_docevent": "on_update",
            "request_url": format!("{}/post", site.receiver.url), "request_method": "POST", "enabled": 1,
            "webhook_data": [{"fieldname": "name", "key": "id"}], "enable_security": 1, "webhook_secret": "*****"});
        for (field, value) in more.as_object().expect("an object") {
            webhook[field] = value.clone();
        }
        webhook
    };
    let fixtures = json!([
        webhook("signed", json!({"condition": "(doc.grand_total or 0) > 1"})),
        webhook("unsigned", json!({"webhook_headers": [{"key": "Host", "value": "x"}, {"key": "X-A", "value": "1"}]})),
        webhook("reads", json!({"request_structure": "JSON", "webhook_json": "{\n\"a\": {{ frappe.db.get_value('User', 'x', 'y') | tojson }}}"})),
        webhook("asks", json!({"condition": "frappe.db.exists('User', doc.owner)"})),
        {"doctype": "Note", "name": "no webhook"},
    ]);
    std::fs::create_dir_all(dir.path().join("app/fixtures")).expect("made");
    let (file, secrets) = (dir.path().join("app/fixtures/webhook.json"), dir.path().join("secrets.json.txt"));
    std::fs::write(&file, fixtures.to_string()).expect("written");
    std::fs::write(&secrets, json!({"signed": "s3cret of any form"}).to_string()).expect("written");
    let folder = dir.path().to_str().expect("UTF-8");
    let told = site.server.call(["--json", "import", "frappe", folder, "--secrets", secrets.to_str().expect("UTF-8")]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    assert!(!told.out.contains("s3cret"), "{}", told.out);
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    let names = |list: &str| -> Vec<String> {
        let list = told[list].as_array().expect("a list").iter();
        list.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(
        (names("imported"), names("refused")),
        (vec!["signed".into(), "unsigned".into()], vec!["reads".into(), "asks".into()])
    );
    let unsigned = &told["imported"][1];
    let notes: Vec<&Value> = unsigned["notes"].as_array().expect("notes").iter().map(|note| &note["field"]).collect();
    assert_eq!(notes, ["webhook_headers", "webhook_secret"]);
    // Nothing goes out unsigned that was to be signed.
    assert_eq!(
        (&unsigned["webhook"]["enabled"], &told["imported"][0]["webhook"]["enabled"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(unsigned["webhook"]["headers"].as_array().map(Vec::len), Some(1));
    for (place, said) in [(0, "frappe.db.get_value asks the site"), (1, "in `frappe.db` (at character 1)")] {
        let refused = &told["refused"][place];
        assert!(refused["message"].as_str().is_some_and(|message| message.contains(said)), "{refused}");
        assert!(refused["help"].as_str().is_some_and(|help| !help.is_empty()), "{refused}");
    }
    let listed = site.server.call(["--json", "webhook", "list"]).json();
    assert_eq!(listed["webhooks"].as_array().map(Vec::len), Some(2), "{listed}");

    let sent = site.server.call([
        "event",
        "send",
        root().join("tests/documents/quotation-on-update.json").to_str().expect("UTF-8"),
    ]);
    sent.ok();
    let echo = site.receiver.received();
    assert_eq!(echo["data"], r#"{"id": "SAL-QTN-2026-00001"}"#, "{echo}");
    assert!(echo["headers"]["X-Frappe-Webhook-Signature"].is_string(), "{echo}");
}

/// Opens a terminal of the system's own making: what is written to the first is typed at the second.
fn terminal() -> (File, File) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("it can be opened");
    let name = ptsname(&keyboard, Vec::new()).expect("it has a name");
    let terminal = File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes())).expect("it opens");
    (keyboard.into(), terminal)
}

#[test]
fn a_secret_that_the_export_hides_is_asked_for_at_a_terminal() {
    let site = site(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    let export = |name: &str| {
        let file = dir.path().join(format!("{name}.json"));
        let webhook = json!({"doctype": "Webhook", "name": name, "webhook_doctype": "Quotation",
            "webhook_docevent": "on_update", "request_url": format!("{}/{name}", site.receiver.url),
            "request_method": "POST", "enabled": 1, "webhook_data": [{"fieldname": "name", "key": "id"}],
            "enable_security": 1, "webhook_secret": "*****"});
        std::fs::write(&file, webhook.to_string()).expect("written");
        file.to_str().expect("UTF-8").to_owned()
    };
    let (mut keyboard, terminal) = terminal();
    let mut import = command();
    import.args(["import", "frappe", &export("typed"), "--url", &site.server.url]);
    import.stdin(terminal.try_clone().expect("a second handle")).stderr(terminal).stdout(Stdio::piped());
    let mut at_terminal = import.spawn().expect("it starts");
    drop(import);
    // What is typed before the terminal hides it would be thrown away.
    wait_until("the terminal to hide what is typed", || {
        let modes = tcgetattr(&keyboard).expect("a terminal").local_modes;
        !modes.contains(LocalModes::ECHO)
    });
    let mut prompt = [0; 200];
    let length = keyboard.read(&mut prompt).expect("a prompt");
    let prompt = String::from_utf8_lossy(&prompt[..length]);
    assert!(prompt.contains("the secret of typed"), "{prompt}");
    keyboard.write_all(b"known to two\n").expect("typed");
    assert_eq!(ended_in_time(&mut at_terminal), Some(0));
    let done = at_terminal.wait_with_output().expect("it ended");
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 webhook is saved"), "{done:?}");

    // Whoever was given the same secret in a file signs alike.
    let secrets = dir.path().join("secrets");
    std::fs::write(&secrets, json!({"given": "known to two"}).to_string()).expect("written");
    let given = export("given");
    site.server.call(["import", "frappe", &given, "--secrets", secrets.to_str().expect("UTF-8")]).ok();
    site.send_quotation();
    let signatures = [site.receiver.received(), site.receiver.received()]
        .map(|echo| echo["headers"]["X-Frappe-Webhook-Signature"].as_str().expect("signed").to_owned());
    assert_eq!(signatures[0], signatures[1]);
}

#[test]
fn a_file_without_webhooks_is_wrong_usage() {
    let mut import = command();
    import.args(["import", "frappe", "-"]);
    let told = ended(&mut import, "[]");
    assert!(told.code == Some(2) && told.err.contains("import_empty"), "{told:#?}");
    assert_eq!(run(["import", "frappe"]).code, Some(2));
}
