//! `hookmill receiver`.

use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::Receiver;
use crate::exit_code::{FAILED, Failure};
use crate::output::{Output, field};
use crate::receiver::{Heard, serve};

pub(crate) async fn run(options: Receiver, output: &Output) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
        Failure::new(FAILED, "cannot_listen", format!("failed to listen on {}: {error}", options.listen))
            .help("choose another address with --listen")
    })?;
    output.line(format!("receiver is ready at http://{}", listener.local_addr()?));
    let (told, mut heard) = mpsc::channel(64);
    if options.quiet {
        heard.close();
    }
    let show = async {
        while let Some(heard) = heard.recv().await {
            show(&heard, output);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = serve(listener, options, told) => ended?,
        () = show => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// A program hears of each request once, when it arrives; a person also hears how it ended.
fn show(heard: &Heard, output: &Output) {
    match heard {
        Heard::Arrived { number, method, echo } => output.answer(echo, || {
            let data = match echo["data"].as_str().filter(|data| !data.is_empty()) {
                Some(data) => data.to_owned(),
                None => format!("form: {}", echo["form"]),
            };
            let id = echo["headers"]["Webhook-Id"].as_str().map(|id| format!(" {id}")).unwrap_or_default();
            format!("#{number} {method} {}{id}\n{data}", field(echo, "url"))
        }),
        Heard::Ended { .. } if output.is_json() => {}
        Heard::Ended { number, status, whole: true, after } => {
            output.line(format!("#{number} → {status} after {} ms\n", after.as_millis()));
        }
        Heard::Ended { number, whole: false, after, .. } => {
            output.line(format!("#{number} the sender left after {} ms, before it was answered\n", after.as_millis()));
        }
    }
}
