//! Running the binary: commands to their end, servers in the background.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far longer than anything here takes; only a fault waits for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "a-token-for-tests";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn document(name: &str) -> PathBuf {
    root().join("tests/documents").join(name)
}

/// Returns the folder into which cargo builds.
pub(crate) fn target() -> PathBuf {
    let target = option_env!("HOOKMILL_TARGET_DIR").map(PathBuf::from);
    target.or_else(|| option_env!("CARGO_TARGET_DIR").map(PathBuf::from)).unwrap_or_else(|| root().join("target"))
}

/// Returns a built component; `cargo xtask test` builds them first.
pub(crate) fn component(file: &str) -> PathBuf {
    let found = ["plugins", "guests-wasm"].iter().map(|dir| target().join(dir).join(file)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{file} is not built: run `cargo xtask plugins`"))
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookmill"));
    command.env_remove("HOOKMILL_URL").env_remove("HOOKMILL_LOG").env("HOOKMILL_TOKEN", TOKEN);
    command
}

/// Runs a command to its end.
pub(crate) fn run<'a>(args: impl IntoIterator<Item = &'a str>) -> Ended {
    ended(command().args(args), "")
}

/// Runs a command with text on its standard input.
pub(crate) fn ended(command: &mut Command, input: &str) -> Ended {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // A command that refuses its arguments does not read.
    let _unread = child.stdin.take().expect("piped").write_all(input.as_bytes()).is_err();
    let output = child.wait_with_output().expect("it ends");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs a command that is to be refused: one that goes on instead is ended, and fails the test.
pub(crate) fn refused(command: &mut Command) -> Ended {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    ended_in_time(&mut child);
    let output = child.wait_with_output().expect("it ended");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Waits until `holds` is true; fails the test, naming `what`, if that takes too long.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Waits until a program has ended by itself; returns its exit code.
pub(crate) fn ended_in_time(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().and_then(|()| child.wait()).expect("it can be ended");
            panic!("it did not end");
        }
        std::thread::yield_now();
    }
}

/// A program in the background that said where it listens.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Running {
    /// Starts a command and waits for the line with its URL.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = reader(child.stdout.take().expect("piped"));
        let errors = reader(child.stderr.take().expect("piped"));
        let Ok(ready) = lines.recv_timeout(PATIENCE) else {
            panic!("it did not become ready: {:?}", errors.try_iter().collect::<Vec<_>>())
        };
        let url = ready.rsplit(' ').next().expect("a URL").to_owned();
        Self { child, url, lines, errors }
    }

    /// Starts a server on `data`, which may reach receivers on this machine.
    pub(crate) fn server(data: &Path) -> Self {
        Self::server_with(data, |_| ())
    }

    /// The same under other circumstances, which `change` makes.
    pub(crate) fn server_with(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--data"]).arg(data);
        change(&mut serve);
        Self::start(&mut serve)
    }

    /// Starts a receiver that tells of each request in JSON.
    pub(crate) fn receiver(args: &[&str]) -> Self {
        Self::start(command().args(["--json", "receiver", "--listen", "127.0.0.1:0"]).args(args))
    }

    /// Returns the next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    /// Returns all lines that it printed so far.
    pub(crate) fn lines_so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Returns what a receiver got next.
    pub(crate) fn received(&self) -> Value {
        serde_json::from_str(&self.line()).expect("JSON")
    }

    /// Waits for a line on its stderr that has this text.
    pub(crate) fn error_with(&self, text: &str) -> String {
        std::iter::repeat_with(|| self.errors.recv_timeout(PATIENCE).expect("a line"))
            .find(|line| line.contains(text))
            .expect("one")
    }

    /// Runs a client command against this server.
    pub(crate) fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        ended(command().env("HOOKMILL_URL", &self.url).args(args), "")
    }

    pub(crate) fn call_with(&self, args: &[&str], input: &str) -> Ended {
        ended(command().env("HOOKMILL_URL", &self.url).args(args), input)
    }

    /// Returns how much memory it holds.
    pub(crate) fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    /// Waits until it has ended by itself; returns its exit code and what it wrote to stderr.
    pub(crate) fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let code = ended_in_time(&mut self.child);
        (code, self.errors.iter().collect())
    }

    /// Ends it at once, as a power cut would end the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be ended");
        self.child.wait().expect("it ended");
    }

    /// Asks it to stop, and returns its exit code and what it wrote to stderr.
    pub(crate) fn stop(mut self) -> (Option<i32>, Vec<String>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let code = self.child.wait().expect("it ended").code();
        (code, self.errors.iter().collect::<VecDeque<_>>().into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

pub(crate) fn reader(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (told, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
