//! What a guest says: lines through the contract's `log`, and what it prints.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::HasData;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::bindings::v1;

/// The lines that one call wrote, up to a limit of bytes.
#[derive(Clone, Debug)]
pub(crate) struct SharedLog(Arc<Mutex<Log>>);

#[derive(Debug)]
struct Log {
    lines: Vec<String>,
    /// What stdout and stderr wrote after their last line break.
    unfinished: [String; 2],
    bytes_left: usize,
    cut: bool,
    /// Bytes that the guest handed over and has not paid for, kept or not: the host looked at each of them.
    bytes_unpaid: u64,
}

impl SharedLog {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Log::new(bytes_max))))
    }

    /// Begins anew, for another call.
    pub(crate) fn begin(&self, bytes_max: usize) {
        self.with(|log| *log = Log::new(bytes_max));
    }

    /// Returns how many bytes the guest handed over since this was last asked, kept or not.
    pub(crate) fn take_unpaid(&self) -> u64 {
        self.with(|log| std::mem::take(&mut log.bytes_unpaid))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Log) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn stream(&self, name: &'static str) -> impl StdoutStream + use<> {
        Printed { log: self.clone(), name }
    }

    /// Takes the lines out, with a last one that says so if some were dropped.
    pub(crate) fn take(&self) -> Vec<String> {
        self.with(|log| {
            for (name, rest) in ["stdout", "stderr"].into_iter().zip(std::mem::take(&mut log.unfinished)) {
                if !rest.is_empty() {
                    log.lines.push(format!("{name}: {rest}"));
                }
            }
            if std::mem::take(&mut log.cut) {
                log.lines.push("(the log was cut here: it reached its limit)".into());
            }
            std::mem::take(&mut log.lines)
        })
    }
}

impl Log {
    fn new(bytes_max: usize) -> Self {
        Self { lines: vec![], unfinished: Default::default(), bytes_left: bytes_max, cut: false, bytes_unpaid: 0 }
    }

    /// Takes as much of `text` as the limit leaves room for.
    fn allow<'a>(&mut self, text: &'a str) -> &'a str {
        let end = text.floor_char_boundary(self.bytes_left);
        self.bytes_left -= end;
        self.cut |= end < text.len();
        text.get(..end).unwrap_or_default()
    }

    fn line(&mut self, prefix: &str, text: &str) {
        self.bytes_unpaid += text.len() as u64;
        if self.bytes_left > 0 {
            // Each line costs its prefix too, or a flood of empty ones would be free.
            self.bytes_left = self.bytes_left.saturating_sub(prefix.len() + 2);
            let text = self.allow(text);
            self.lines.push(format!("{prefix}: {text}"));
        } else {
            self.cut = true;
        }
    }

    fn print(&mut self, name: &'static str, bytes: &[u8]) {
        self.bytes_unpaid += bytes.len() as u64;
        if self.bytes_left == 0 {
            self.cut = true;
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let place = usize::from(name == "stderr");
        let Some(unfinished) = self.unfinished.get_mut(place) else { return };
        let mut pending = std::mem::take(unfinished);
        for piece in text.split_inclusive('\n') {
            pending.push_str(self.allow(piece));
            if pending.ends_with('\n') {
                self.bytes_left = self.bytes_left.saturating_sub(name.len() + 2);
                self.lines.push(format!("{name}: {}", pending.trim_end_matches(['\r', '\n'])));
                pending.clear();
            }
        }
        if let Some(unfinished) = self.unfinished.get_mut(place) {
            *unfinished = pending;
        }
    }
}

pub(crate) struct LogData;

impl HasData for LogData {
    type Data<'a> = &'a mut SharedLog;
}

impl v1::hookmill::plugin::log::Host for SharedLog {
    fn log(&mut self, level: v1::hookmill::plugin::log::Level, message: String) {
        use v1::hookmill::plugin::log::Level;
        let prefix = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.with(|log| log.line(prefix, &message));
    }
}

/// A guest's stdout or stderr, which goes to its log.
#[derive(Clone)]
struct Printed {
    log: SharedLog,
    name: &'static str,
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.log.with(|log| log.print(self.name, &bytes));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}
