//! No secret is found in anything that the server says or writes, whatever its receivers say back; and the key that they
//! are sealed with.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_testing::{Answer, Receiver, wait_until};
use serde_json::{Value, json};

use crate::support::{Ended, Running, TOKEN, command, component, refused};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEYS: [&str; 2] =
    ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "HxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4="];

/// Every kind of secret that a webhook, its token server or the operator's proxy has.
const SECRETS: [&str; 12] = [
    WHSEC,
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "row-s3cret-of-a-header",
    "query-s3cret+/of-a-url",
    "user-s3cret",
    "pass-s3cret/of-a-url",
    "basic-s3cret",
    "client-s3cret&+=of-oauth",
    "access-s3cret-token",
    "plugin-s3cret",
    "proxy-s3cret",
    KEYS[0],
];

/// Returns the forms in which a secret must not be found either.
fn forms(secret: &str) -> Vec<String> {
    let in_form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    vec![secret.to_owned(), in_form.replace('+', "%20"), in_form, STANDARD.encode(secret)]
}

/// What users send as credentials: name and password in one.
fn together() -> Vec<String> {
    let pairs = [
        ("user-s3cret", "pass-s3cret/of-a-url".to_owned()),
        ("u", "basic-s3cret".to_owned()),
        ("c", forms("client-s3cret&+=of-oauth")[2].clone()),
        ("p", "proxy-s3cret".to_owned()),
    ];
    pairs.map(|(user, password)| STANDARD.encode(format!("{user}:{password}"))).into()
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

#[track_caller]
fn none_in(place: &str, bytes: &[u8]) {
    for secret in SECRETS.iter().flat_map(|secret| forms(secret)).chain(together()) {
        let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around = at.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())]));
        assert_eq!(around, None, "{secret} in {place}");
    }
}

/// A server, and all that it has answered.
struct Heard {
    server: Running,
    answers: Vec<String>,
}

impl Heard {
    fn call(&mut self, args: &[&str], input: &str) -> Value {
        let Ended { out, err, .. } = self.server.call_with(&[&["--json"], args].concat(), input);
        let json = serde_json::from_str(&out).unwrap_or_default();
        self.answers.extend([out, err]);
        json
    }

    fn apply(&mut self, name: &str, url: &str, fields: &Value) {
        let mut webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": url, "secrets": [WHSEC]});
        for (field, value) in fields.as_object().expect("fields") {
            webhook[field] = value.clone();
        }
        let stored = self.call(&["webhook", "apply", "-", "--name", name], &webhook.to_string());
        assert_eq!(stored["name"], name, "{:?}", self.answers.last());
    }

    /// Reads every list, every delivery, every page that there is.
    fn read_all(&mut self) {
        self.call(&["webhook", "list"], "");
        self.call(&["plugin", "list"], "");
        let listed = self.call(&["delivery", "list"], "");
        for delivery in listed["deliveries"].as_array().expect("deliveries") {
            let id = delivery["id"].as_str().expect("an id");
            self.call(&["delivery", "show", id], "");
        }
    }
}

async fn settled(http: &reqwest::Client, url: &str) {
    wait_until("everything to be settled", async || {
        let answer = http.get(format!("{url}/v1/deliveries?state=pending")).bearer_auth(TOKEN).send().await;
        let text = answer.expect("an answer").text().await.expect("text");
        serde_json::from_str::<Value>(&text).expect("JSON")["deliveries"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
}

/// Saves webhooks with every kind of secret for receivers that say everything back, with every outcome.
fn webhooks(heard: &mut Heard, receivers: &[(&str, &Running)], tokens: &Receiver) {
    let twice = json!({"schedule": ["0s", "0s"]});
    for (name, receiver) in receivers {
        let host = receiver.url.trim_start_matches("http://");
        let url = format!("http://user-s3cret:pass-s3cret%2Fof-a-url@{host}/in?token=query-s3cret%2B%2Fof-a-url&a=b");
        let row = json!({"key": "X-Api-Key", "value": "row-s3cret-of-a-header"});
        heard.apply(&format!("{name}-url"), &url, &json!({"headers": [row], "retry": twice}));
        let auth = json!({"basic": {"username": "u", "password": "basic-s3cret"}});
        heard.apply(&format!("{name}-basic"), &receiver.url, &json!({"auth": auth, "retry": twice}));
    }
    let (_, good) = receivers[0];
    for client_auth in ["basic", "body"] {
        let oauth2 = json!({"token_url": tokens.url("/t"), "client_id": "c", "client_secret": "client-s3cret&+=of-oauth",
            "client_auth": client_auth});
        heard.apply(&format!("oauth-{client_auth}"), &good.url, &json!({"auth": {"oauth2": oauth2}, "retry": twice}));
    }
    let plugin =
        json!({"name": "judging", "secrets": {"chat-token": "plugin-s3cret"}, "settings": {"channel": "#sales"}});
    heard.apply("plugin", &good.url, &json!({"plugin": plugin, "retry": twice}));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_what_the_server_says_or_writes() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let (good, late, bad, gone) = (
        Running::receiver(&[]),
        Running::receiver(&["--fail-first", "2"]),
        Running::receiver(&["--status", "500"]),
        Running::receiver(&["--status", "410"]),
    );
    let tokens = Receiver::start();
    let said = forms("client-s3cret&+=of-oauth").join(" ") + " " + &together()[2];
    let refusal = json!({"error": "invalid_client", "error_description": format!("{}{said}", "x".repeat(60))});
    tokens.script([Answer::with_body(401, refusal.to_string()), Answer::with_body(401, refusal.to_string())]);
    let granted = json!({"access_token": "access-s3cret-token", "token_type": "Bearer", "expires_in": 3600});
    tokens.always(Answer::with_body(200, granted.to_string()));
    let server = Running::server_with(&data, |serve| {
        serve.env("HOOKMILL_LOG", "trace").env("HOOKMILL_SECRET_KEY", KEYS[0]);
    });
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = server.url.clone();
    let mut heard = Heard { server, answers: vec![] };
    let wasm = component("judging.wasm");
    heard.call(&["plugin", "push", wasm.to_str().expect("UTF-8")], "");
    webhooks(&mut heard, &[("good", &good), ("late", &late), ("bad", &bad), ("gone", &gone)], &tokens);
    let event = r#"{"doctype":"Note","doc_event":"on_update","doc":{"name":"N-1","customer":"a-plain-word"}}"#;
    for name in ["good-url", "good-basic", "oauth-basic", "plugin"] {
        heard.call(&["webhook", "preview", name, "--event", "-"], event);
        heard.call(&["webhook", "test", name, "--event", "-"], event);
    }
    heard.call(&["event", "send", "-"], event);
    settled(&http, &url).await;
    heard.read_all();
    heard.call(&["delivery", "redeliver", "--state", "delivered"], "");
    heard.call(&["delivery", "redeliver", "--state", "dead", "--mode", "transform"], "");
    settled(&http, &url).await;
    heard.read_all();
    for path in ["/metrics", "/health/ready", "/v1/openapi.json", "/v1/webhooks"] {
        let answer = http.get(format!("{url}{path}")).bearer_auth(TOKEN).send().await.expect("an answer");
        heard.answers.push(answer.text().await.expect("text"));
    }

    let received = [&good, &late, &bad, &gone].map(|receiver| receiver.lines_so_far().concat()).concat();
    for sent in ["row-s3cret", "query-s3cret", "access-s3cret", "plugin-s3cret"] {
        assert!(received.contains(sent), "{sent} reached nobody");
    }
    let answers = heard.answers.concat();
    for shown in ["********", "410 Gone", "a-plain-word", "auth_token_refused"] {
        assert!(answers.contains(shown), "{shown} is in no answer");
    }
    none_in("answers", answers.as_bytes());
    let (code, errors) = heard.server.stop();
    assert!(code == Some(0) && errors.iter().any(|line| line.contains("TRACE")), "nothing was traced");
    none_in("stderr", errors.join("\n").as_bytes());
    let mut found = vec![];
    files(&data, &mut found);
    assert!(found.iter().any(|(_, bytes)| bytes.windows(12).any(|window| window == b"a-plain-word")));
    found.iter().for_each(|(path, bytes)| none_in(path, bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_password_is_in_nothing_either() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let proxy = Receiver::start();
    let echo = format!("{} proxy-s3cret", STANDARD.encode("p:proxy-s3cret"));
    proxy.script([Answer::with_body(200, "fine"), Answer::with_body(407, echo)]);
    let server = Running::server_with(&data, |serve| {
        let url = format!("http://p:proxy-s3cret@127.0.0.1:{}", proxy.address().port());
        serve.args(["--proxy", &url]).env("HOOKMILL_LOG", "trace").env("HOOKMILL_SECRET_KEY", KEYS[0]);
    });
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = server.url.clone();
    let mut heard = Heard { server, answers: vec![] };
    heard.apply("notes", "http://1.1.1.1/in", &json!({"retry": {"preset": "none"}}));
    for name in ["N-1", "N-2"] {
        let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": name}});
        heard.call(&["event", "send", "-"], &event.to_string());
        settled(&http, &url).await;
    }
    assert_eq!(
        proxy.requests()[0].header("proxy-authorization"),
        format!("Basic {}", STANDARD.encode("p:proxy-s3cret"))
    );
    heard.read_all();
    none_in("answers", heard.answers.concat().as_bytes());
    none_in("stderr", heard.server.stop().1.join("\n").as_bytes());
    let mut found = vec![];
    files(&data, &mut found);
    found.iter().for_each(|(path, bytes)| none_in(path, bytes));
}

#[test]
fn a_key_from_a_file_or_the_environment_opens_what_it_sealed_and_no_other_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, file) = (dir.path().join("data"), dir.path().join("key"));
    std::fs::write(&file, format!("{}\n", KEYS[0])).expect("written");
    let first = Running::server_with(&data, |serve| {
        serve.arg("--secret-key").arg(&file);
    });
    assert_eq!(first.stop().0, Some(0));
    assert!(!data.join("secret.key").exists(), "a key was made beside the one that was given");
    // No webhook is stored, and yet a wrong key is known.
    let serve = || {
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        serve
    };
    for ended in [refused(serve().env("HOOKMILL_SECRET_KEY", KEYS[1])), refused(&mut serve())] {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("[secret_key_wrong]") && ended.err.contains("--secret-key"), "{}", ended.err);
    }
    assert!(!data.join("secret.key").exists());
    let malformed = refused(serve().env("HOOKMILL_SECRET_KEY", "no key"));
    assert!(malformed.code == Some(2) && malformed.err.contains("[secret_key_unusable]"), "{malformed:?}");
    let by_environment = Running::server_with(&data, |serve| {
        serve.env("HOOKMILL_SECRET_KEY", KEYS[0]);
    });
    assert_eq!(by_environment.stop().0, Some(0));
}
