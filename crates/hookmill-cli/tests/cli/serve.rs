//! Starting and stopping a server.

use std::process::Command;

use crate::support::{Running, command, ended};

/// What callers show, where a test calls.
const TOKEN: &str = "a token for tests";

fn serve_in(dir: &tempfile::TempDir) -> Command {
    let mut serve = command();
    serve
        .env_remove("HOOKMILL_TOKEN")
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.path().join("data"));
    serve
}

#[test]
fn the_token_is_shown_at_the_first_start_only_and_stays_valid() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Running::start(&mut serve_in(&dir));
    let (code, errors) = first.stop();
    assert_eq!(code, Some(0));
    let shown =
        errors.iter().find_map(|line| line.split_once("HOOKMILL_TOKEN=")).expect("the token is shown").1.to_owned();

    let second = Running::start(&mut serve_in(&dir));
    let listed =
        ended(command().env("HOOKMILL_URL", &second.url).env("HOOKMILL_TOKEN", &shown).args(["webhook", "list"]), "");
    assert!(listed.ok().contains("no webhooks yet"));
    let (_, errors) = second.stop();
    assert!(errors.iter().all(|line| !line.contains("hkm_")), "{errors:?}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let _first = Running::start(&mut serve_in(&dir));
    let second = ended(&mut serve_in(&dir), "");
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("[store_in_use]") && second.err.contains("--data"), "{}", second.err);
}

#[test]
fn what_stops_a_start_is_one_sentence_and_a_hint() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hookmill.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\ncolour = \"red\"\n").expect("written");
    let refused = ended(serve_in(&dir).arg("--config").arg(&config), "");
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("colour") && refused.err.contains("help:"), "{}", refused.err);
}

#[test]
fn a_port_that_is_taken_costs_nothing_and_is_one_sentence() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = dir.path().join("data");
    let mut serve = command();
    serve.env_remove("HOOKMILL_TOKEN").args(["serve", "--listen", &address, "--data"]).arg(&data);
    let refused = ended(&mut serve, "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.starts_with(&format!("error: failed to listen on {address}")), "{}", refused.err);
    assert!(refused.err.contains("[cannot_listen]") && refused.err.lines().count() == 2, "{}", refused.err);
    assert!(!data.exists(), "the engine was started");
}

#[test]
fn a_token_that_keeps_nobody_out_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for (token, said) in [("", "is empty"), ("short", "5 characters"), ("  ", "is empty")] {
        let refused = ended(serve_in(&dir).env("HOOKMILL_TOKEN", token), "");
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.err.contains(said) && refused.err.contains("[token_unusable]"), "{}", refused.err);
    }
    assert!(!dir.path().join("data").exists(), "the engine was started");
}

#[test]
fn a_file_gives_what_options_leave_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hookmill.toml");
    let data = dir.path().join("elsewhere");
    std::fs::write(
        &config,
        format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ntoken = \"a-token-of-the-file\"\ngrace = 3\n"),
    )
    .expect("written");
    let server = Running::start(command().env_remove("HOOKMILL_TOKEN").args(["serve", "--config"]).arg(&config));
    let listed = ended(
        command()
            .env("HOOKMILL_URL", &server.url)
            .env("HOOKMILL_TOKEN", "a-token-of-the-file")
            .args(["webhook", "list"]),
        "",
    );
    listed.ok();
    assert!(data.join("hookmill.db").exists());
}

#[test]
fn a_host_that_the_file_allows_is_reached_and_no_proxy_of_the_environment_is_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let (config, webhook) = (dir.path().join("hookmill.toml"), dir.path().join("notes.json"));
    let (proxy, receiver) = (Running::receiver(&[]), Running::receiver(&[]));
    std::fs::write(&config, "allow-host = [\"localhost\"]\n").expect("written");
    let mut serve = serve_in(&dir);
    serve.env("HOOKMILL_TOKEN", TOKEN).arg("--config").arg(&config);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        serve.env(name, &proxy.url);
    }
    let server = Running::start(&mut serve);
    let call = |args: &[&str], input: &str| {
        ended(command().env("HOOKMILL_URL", &server.url).env("HOOKMILL_TOKEN", TOKEN).args(args), input)
    };
    let save = |url: &str| {
        let json = format!(r#"{{"doctype":"Note","doc_event":"x","request_url":"{url}"}}"#);
        std::fs::write(&webhook, json).expect("written");
        call(&["webhook", "apply", webhook.to_str().expect("UTF-8")], "")
    };
    assert!(save(&receiver.url).err.contains("[address_refused]"), "its address is not its name");
    save(&receiver.url.replace("127.0.0.1", "localhost")).ok();
    call(&["event", "send", "-"], r#"{"doctype":"Note","doc_event":"x","doc":{"name":"N-1"}}"#).ok();
    assert_eq!(receiver.received()["json"]["name"], "N-1");
    assert!(proxy.lines_so_far().is_empty());
}

#[test]
fn the_proxy_of_the_options_is_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let proxy = Running::receiver(&[]);
    let server = Running::start(serve_in(&dir).env("HOOKMILL_TOKEN", TOKEN).args(["--proxy", &proxy.url]));
    let call = |args: &[&str], input: &str| {
        ended(command().env("HOOKMILL_URL", &server.url).env("HOOKMILL_TOKEN", TOKEN).args(args), input)
    };
    let webhook = r#"{"doctype":"Note","doc_event":"x","request_url":"http://1.1.1.1/in"}"#;
    call(&["webhook", "apply", "-", "--name", "notes"], webhook).ok();
    call(&["event", "send", "-"], r#"{"doctype":"Note","doc_event":"x","doc":{"name":"N-1"}}"#).ok();
    assert_eq!(proxy.received()["headers"]["Host"], "1.1.1.1");
}

#[test]
fn what_is_no_proxy_and_no_host_stops_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hookmill.toml");
    for (line, option, said) in [
        ("proxy = \"ftp://proxy\"", ["--proxy", "ftp://proxy"], "proxy"),
        ("allow-host = [\"10.0.0.1\"]", ["--allow-host", "10.0.0.1"], "--allow"),
    ] {
        std::fs::write(&config, line).expect("written");
        let by_file = ended(serve_in(&dir).arg("--config").arg(&config), "");
        let by_option = ended(serve_in(&dir).args(option), "");
        for refused in [by_file, by_option] {
            assert!(refused.code == Some(2) && refused.err.contains(said), "{refused:#?}");
        }
    }
    assert!(!dir.path().join("data").exists(), "the engine was started");
}

#[test]
fn the_limits_of_file_and_options_hold() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hookmill.toml");
    std::fs::write(&config, "waiting-max = 100\nin-flight-per-receiver = 1\nin-flight = 10\ndisable-after = 0\n")
        .expect("written");
    let receiver = Running::receiver(&["--delay", "10m"]);
    let server = Running::server_with(&dir.path().join("data"), |serve| {
        serve.args(["--waiting-max", "3", "--grace", "0", "--config"]).arg(&config);
    });
    let webhook = format!(r#"{{"doctype":"Note","doc_event":"x","request_url":"{}"}}"#, receiver.url);
    server.call_with(&["webhook", "apply", "-", "--name", "notes"], &webhook).ok();
    let event = r#"{"doctype":"Note","doc_event":"x","doc":{"name":"N"}}"#;
    let taken = (0..10).take_while(|_| server.call_with(&["event", "send", "-"], event).code == Some(0)).count();
    assert!((3..=4).contains(&taken), "one is under way, three wait: {taken} were taken");
    let refused = server.call_with(&["event", "send", "-"], event);
    assert!(refused.code == Some(1) && refused.err.contains("[overloaded]"), "{refused:?}");
    let zero = ended(serve_in(&dir).args(["--in-flight", "0"]), "");
    assert!(zero.code == Some(2) && zero.err.contains("--in-flight"), "{zero:?}");
}
