//! Starting and stopping a server.

use std::process::Command;

use crate::support::{Running, command, ended};

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
