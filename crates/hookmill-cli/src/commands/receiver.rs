//! `hookmill receiver`.

use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::Receiver;
use crate::exit_code::{FAILED, Failure};
use crate::output::{Output, field};
use crate::receiver::{Received, serve};

pub(crate) async fn run(options: Receiver, output: &Output) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
        Failure::new(FAILED, "cannot_listen", format!("failed to listen on {}: {error}", options.listen))
            .help("choose another address with --listen")
    })?;
    output.line(format!("receiver is ready at http://{}", listener.local_addr()?));
    let (told, mut heard) = mpsc::channel(64);
    let quiet = options.quiet;
    if quiet {
        heard.close();
    }
    let show = async {
        while let Some(received) = heard.recv().await {
            show(&received, output);
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

fn show(received: &Received, output: &Output) {
    output.answer(&received.echo, || {
        let data = field(&received.echo, "data");
        let id = received.echo["headers"]["Webhook-Id"].as_str().map(|id| format!(" {id}")).unwrap_or_default();
        format!("{} {}{id} ← {}\n{data}\n", received.method, field(&received.echo, "url"), received.status)
    });
}
