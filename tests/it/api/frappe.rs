//! What a real Frappe site sent, sent again by a server for the same webhook and document, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill::core::frappe::{Options, import};
use hookmill::core::webhook::Profile;
use hookmill_testing::{Answer, Received, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Served;

/// Where the site's receiver listened.
const SITE_RECEIVER: &str = "127.0.0.1:28899";

/// What another site sent, at more templates, conditions, URLs and headers: one case a line.
const CAPTURED: &str = "frappe/captured.json";

/// Cases in which hookmill does something else than Frappe, and why. Their first number names them in both folders.
const BY_INTENT: &[(&str, &str)] = &[
    ("26", "the random number is drawn by the event, and the signature covers what is sent"),
    ("34", "a dynamic URL that ends in .json is a URL like any other, not the name of a file"),
    ("frappe-v15/40", "on_update_after_submit is an event like any other; only Frappe up to 15 never raises it"),
    ("56", "which events a transaction leaves is the publisher's affair; what is published is sent"),
    ("58", "the same: an import publishes nothing, and what is published is sent"),
    ("60", "the site edited the webhook before its worker ran"),
    ("80", "doc.get_title() asks the site which field is the title"),
    ("88", "the site deleted the webhook before its worker ran"),
    ("92", "the site deleted the webhook and had it cached"),
    ("21", "a blank before a header's value is nothing to fail for"),
    ("43", "which events a change raises is the publisher's affair; what is published is sent"),
    ("45", "the same: the site raises nothing for frappe.db.set_value"),
    ("51", "the site's workers overtook each other"),
    ("53", "the case has the last of two documents"),
    ("65", "Markdown is not turned into HTML here"),
    ("79", "doc.items is the field, not the method, so it is not callable"),
    ("B1", "what asks the site is refused when it is saved: frappe.format"),
    ("D2", "Python's functions can be called here"),
    ("D8", "what asks the site is refused when it is saved: frappe.db"),
    ("D9", "what asks the site is refused when it is saved: frappe.utils.get_url"),
    ("F5", "lambda is refused when it is saved"),
    ("F9", "doc.meta is the site's"),
    ("H5", "the class of a DocType is the site's"),
    ("J1", "the same as 21"),
    ("J3", "only hookmill itself sets Host; an import leaves the row out with a note"),
    ("J8", "HTTP has no blank in the name of a header"),
    ("K0", "the same"),
    ("K2", "only hookmill itself sets Transfer-Encoding; an import leaves the row out with a note"),
];

/// A case as a site recorded it.
struct Case {
    number: String,
    profile: Profile,
    json: Value,
}

impl Case {
    fn all() -> Vec<Self> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("frappe/golden");
        let mut cases = Vec::new();
        for (folder, profile) in [(golden.clone(), Profile::FrappeV15), (golden.join("newest"), Profile::FrappeNewest)]
        {
            for entry in std::fs::read_dir(&folder).expect("the cases are there") {
                let file = entry.expect("an entry").path();
                if file.extension().is_some_and(|extension| extension == "json") {
                    let text = std::fs::read_to_string(&file).expect("a readable case");
                    let number = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(..2));
                    let number = number.expect("a number").into();
                    cases.push(Self { json: serde_json::from_str(&text).expect("a case is JSON"), profile, number });
                }
            }
        }
        let captured = Path::new(env!("CARGO_MANIFEST_DIR")).join(CAPTURED);
        let captured = std::fs::read_to_string(captured).expect("the cases are there");
        for json in serde_json::from_str::<Vec<Value>>(&captured).expect("cases are JSON") {
            let profile = if json["profile"] == "newest" { Profile::FrappeNewest } else { Profile::FrappeV15 };
            cases.push(Self { number: json["id"].as_str().expect("an id").into(), profile, json });
        }
        cases.sort_by(|a, b| {
            (a.profile == Profile::FrappeNewest, &a.number).cmp(&(b.profile == Profile::FrappeNewest, &b.number))
        });
        cases
    }

    /// Tells whether a number means this case: in every profile, unless it names one.
    fn is(&self, number: &str) -> bool {
        match number.strip_prefix("frappe-v15/") {
            Some(number) => self.profile == Profile::FrappeV15 && number == self.number,
            None => number == self.number,
        }
    }

    /// Returns the event that the site had.
    fn event(&self, webhook: &Value) -> Value {
        let doc = &self.json["doc"];
        let mut event = json!({"doctype": webhook["doctype"], "doc_event": webhook["doc_event"], "doc": doc});
        if let Some(before) = self.json.get("before") {
            event["before"] = before.clone();
        }
        if let (Some(modified), true) = (doc["modified"].as_str(), self.json.get("id").is_some()) {
            event["occurred_at"] = json!(format!("{}Z", modified.replace(' ', "T")));
            event["user"] = json!("Administrator");
        }
        event
    }

    fn title(&self) -> String {
        let folder = if self.profile == Profile::FrappeNewest { "newest/" } else { "" };
        format!("{folder}{} {}", self.number, self.json["case"].as_str().unwrap_or_default())
    }

    /// Returns the case's webhooks, or its only one.
    fn webhooks(&self) -> Vec<&Value> {
        match self.json["webhooks"].as_array() {
            Some(several) => several.iter().collect(),
            None => vec![&self.json["webhook"]],
        }
    }

    fn requests(&self) -> Vec<Received> {
        let raw = self.json["requests"].as_array().expect("requests");
        raw.iter()
            .map(|raw| match raw.as_str() {
                Some(raw) => parsed(&STANDARD.decode(raw).expect("base64")),
                None => Received {
                    method: raw["method"].as_str().expect("a method").into(),
                    path: raw["path"].as_str().expect("a path").into(),
                    headers: serde_json::from_value(raw["headers"].clone()).expect("headers"),
                    body: raw["body"].as_str().expect("a body").into(),
                },
            })
            .collect()
    }
}

/// Reads the bytes of a request.
pub(super) fn parsed(raw: &[u8]) -> Received {
    let head_len = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(raw[..head_len].to_vec()).expect("a head in ASCII");
    let mut lines = head.split("\r\n");
    let mut first = lines.next().expect("a first line").split(' ').map(str::to_owned);
    let (method, path) = (first.next().expect("a method"), first.next().expect("a path"));
    let headers = lines.map(|line| line.split_once(": ").expect("a header"));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Received { method, path, headers, body: raw[head_len + 4..].to_vec() }
}

/// Returns what two requests are compared by. Host, sender and accepted encodings are each program's own, unless the
/// webhook sets them.
fn comparable(request: &Received, own: &BTreeSet<String>) -> (String, String, BTreeMap<String, String>, String) {
    let ignored = ["host", "user-agent", "accept-encoding"];
    let is_compared = |name: &str| own.contains(name) || !ignored.contains(&name);
    let headers = request.headers.iter().filter(|(name, _)| is_compared(&name.to_lowercase())).cloned().collect();
    (request.method.clone(), request.path.clone(), headers, String::from_utf8_lossy(&request.body).into_owned())
}

/// What came of a case.
enum Sent {
    Requests(Vec<Received>),
    /// The webhook was not taken, for this reason.
    Refused(String),
}

/// Saves a case's webhooks, publishes its event and returns what the receiver got.
async fn replay(served: &Served, case: &Case) -> Sent {
    let receiver = &served.stand.receiver;
    let (before, expected) = (receiver.count(), case.requests());
    let failures = match case.number.as_str() {
        "70" => expected.len().saturating_sub(1),
        // A slow receiver and one that knows no better fail like any other.
        "69" | "71" | "73" => expected.len(),
        _ => 0,
    };
    receiver.script(vec![Answer::Status(500); failures]);
    let mut names = Vec::new();
    let mut owed = Vec::new();
    for document in case.webhooks() {
        let secret = document["_webhook_secret_plain"].as_str();
        let imported = match import(document, &Options { profile: case.profile, doctypes: None, secret }) {
            Ok(imported) => imported,
            Err(refused) => return Sent::Refused(refused.message),
        };
        let mut webhook = imported.webhook;
        let url = webhook["request_url"].as_str().expect("a URL");
        let address = receiver.address().to_string();
        let url = url.replace(SITE_RECEIVER, &address).replace("localhost:28899", &address);
        webhook["request_url"] = json!(url);
        webhook["retry"] = json!({"schedule": ["0s", "0s", "0s"]});
        let path = format!("/v1/webhooks/{}", imported.name);
        let reply = served.put(&path, webhook.to_string()).await;
        if reply.status != 201 {
            return Sent::Refused(reply.json["detail"].to_string());
        }
        names.push(path);
        // Of several webhooks, one for each event, those stand in the case that fired.
        let fired = case.json["webhooks"].is_null()
            || expected.iter().any(|request| request.path.ends_with(webhook["doc_event"].as_str().expect("text")));
        if fired {
            if case.json["doc"].is_null() {
                continue;
            }
            let published = served.post("/v1/events", case.event(&webhook).to_string()).await.ok(202);
            owed.extend(published["deliveries"].as_array().expect("deliveries").clone());
        }
    }
    for delivery in owed {
        let path = format!("/v1/deliveries/{}", delivery.as_str().expect("an id"));
        wait_for("an end", async || Some(served.get(&path).await.ok(200)).filter(|found| found["state"] != "pending"))
            .await;
    }
    for name in names {
        served.delete(&name).await.ok(204);
    }
    Sent::Requests(receiver.requests().split_off(before))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_those_of_a_real_site_byte_for_byte() {
    let served = Served::new().await;
    let (mut equal, mut wrong, mut by_intent) = (0, Vec::new(), Vec::new());
    for case in Case::all() {
        let webhooks = case.webhooks();
        let own = webhooks.iter().filter_map(|webhook| webhook["webhook_headers"].as_array()).flatten();
        let own: BTreeSet<String> = own.filter_map(|row| Some(row["key"].as_str()?.to_lowercase())).collect();
        let mut expected: Vec<_> = case.requests().iter().map(|request| comparable(request, &own)).collect();
        if ["67", "68"].contains(&case.number.as_str()) {
            // Frappe follows redirects, the signature and every key with it; here the first request is the only one.
            expected.truncate(1);
        }
        let reason = BY_INTENT.iter().find(|(number, _)| case.is(number)).map(|(_, reason)| *reason);
        let sent: Vec<_> = match replay(&served, &case).await {
            Sent::Requests(sent) => sent.iter().map(|request| comparable(request, &own)).collect(),
            Sent::Refused(reason) if expected.is_empty() => {
                by_intent.push(format!("{}: refused when it is saved: {reason}", case.title()));
                continue;
            }
            Sent::Refused(refused) if reason.is_some() => {
                by_intent.push(format!("{}: {}: {refused}", case.title(), reason.unwrap_or_default()));
                continue;
            }
            Sent::Refused(reason) => {
                wrong.push(format!("{}: refused: {reason}", case.title()));
                continue;
            }
        };
        match reason {
            Some(_) if sent == expected => wrong.push(format!("{}: it is equal, and said to differ", case.title())),
            None if sent == expected => equal += 1,
            Some(reason) => by_intent.push(format!("{}: {reason}", case.title())),
            None => wrong.push(format!("{}:\n  sent     {sent:?}\n  expected {expected:?}", case.title())),
        }
    }
    println!("{equal} cases are equal; by intent, {} differ:\n  {}", by_intent.len(), by_intent.join("\n  "));
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal >= 203, "only {equal} cases are equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_be_written_in_the_words_of_frappes_form() {
    let served = Served::new().await;
    for structure in ["", "JSON", "json", "Form URL-Encoded", "form"] {
        let webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": "http://127.0.0.1:9/", "request_structure": structure, "profile": "frappe-v15"});
        let reply = served.request(Method::PUT, "/v1/webhooks/words").body(webhook.to_string()).send().await;
        assert!(reply.expect("an answer").status().is_success(), "{structure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_fails_parks_the_delivery_and_says_where() {
    let served = Served::new().await;
    served.webhook(json!({"profile": "frappe-v15", "condition": "doc.title and doc.total > 1000"})).await;
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N", "title": "T", "total": null}});
    let published = served.post("/v1/events", event.to_string()).await.ok(202);
    let path = format!("/v1/deliveries/{}", published["deliveries"][0].as_str().expect("an id"));
    let found = wait_for("the delivery to be parked", async || {
        Some(served.get(&path).await.ok(200)).filter(|found| found["state"] == "parked")
    });
    let error = found.await["attempts"][0]["error"].clone();
    assert_eq!(error["code"], "condition_failed");
    let message = error["message"].as_str().expect("text");
    assert!(message.contains("None > 1000, in `doc.total > 1000` (at character 15)"), "{message}");
    assert_eq!(served.stand.receiver.count(), 0);
    let preview = served.post("/v1/webhooks/notes/preview", event.to_string()).await.ok(200);
    assert_eq!((&preview["condition"], &preview["decision"]), (&json!(false), &json!("fail")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_very_request_and_sends_nothing() {
    let served = Served::new().await;
    let fields =
        json!({"profile": "frappe-newest", "secrets": ["any text"], "data": [{"fieldname": "total", "key": "t"}]});
    served.webhook(fields).await;
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N", "total": 1e16}});
    let preview = served.post("/v1/webhooks/notes/preview", event.to_string()).await.ok(200);
    assert_eq!(served.stand.receiver.count(), 0);
    served.post("/v1/events", event.to_string()).await.ok(202);
    let sent = served.stand.receiver.only_request().await;
    assert_eq!((sent.text(), &preview["request"]["body"]), ("{\n \"t\": 1e+16\n}", &json!("{\n \"t\": 1e+16\n}")));
    let headers = preview["request"]["headers"].as_array().expect("headers");
    let shown = headers.iter().find(|header| header[0] == "x-frappe-webhook-signature").expect("a signature");
    assert_eq!(shown[1], sent.header("x-frappe-webhook-signature"));
}

/// Sends an event to a webhook with these fields; returns how the names of the request's headers are spelt.
async fn spelt(fields: Value) -> BTreeSet<String> {
    let served = Served::new().await;
    served.webhook(fields).await;
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N"}});
    served.post("/v1/events", event.to_string()).await.ok(202);
    served.stand.receiver.only_request().await.headers.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_headers_go_out_as_they_are_written() {
    let rows = json!([
        {"key": "x-first-KEY", "value": "1"}, {"key": "Content-type", "value": "text/x"}, {"key": "X-2nd", "value": "2"},
    ]);
    let written = ["x-first-KEY", "Content-type", "X-2nd"];
    let frappe = json!({"profile": "frappe-v15", "secrets": ["any text"], "headers": rows.clone()});
    let of_requests = ["Accept", "Connection", "User-Agent", "X-Frappe-Webhook-Signature"];
    for (fields, others) in [(frappe, &of_requests[..]), (json!({"headers": rows}), &["user-agent", "webhook-id"])] {
        let sent = spelt(fields).await;
        for name in written.iter().chain(others) {
            assert!(sent.contains(*name), "{name} is not in {sent:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_sent_as_one_and_headers_can_be_templates() {
    let served = Served::new().await;
    let fields = json!({
        "request_structure": "form",
        "data": [{"fieldname": "title", "key": "a title"}, {"fieldname": "none", "key": "n"}, {"fieldname": "items", "key": "i"}],
        "headers": [{"key": "X-Note", "value": "{{ doc.name|upper }}", "template": true}, {"key": "X-Raw", "value": "{{ doc.name }}"}],
    });
    served.webhook(fields).await;
    let doc = json!({"name": "n-1", "title": "a & b = ü", "none": null, "items": [{"qty": 2}]});
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": doc});
    served.post("/v1/events", event.to_string()).await.ok(202);
    let sent = served.stand.receiver.only_request().await;
    assert_eq!(sent.text(), "a+title=a+%26+b+%3D+%C3%BC&n=&i=%5B%7B%22qty%22%3A2%7D%5D");
    assert_eq!(sent.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!((sent.header("x-note"), sent.header("x-raw")), ("N-1", "{{ doc.name }}"));
}
