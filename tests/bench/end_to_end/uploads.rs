//! How long an upload takes until the version is active, by the states that it goes through.

use jiff::Timestamp;
use serde_json::Value;

use crate::Options;
use crate::receiver::Receiver;
use crate::server::Server;

/// The same transform in three languages: what the compiler has to do differs by two orders of magnitude.
const LANGUAGES: [&str; 3] = ["rust", "javascript", "python"];

pub(crate) async fn uploads(options: &Options) {
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    println!("{:<12}{:>12}{:>12}{:>12}{:>12}{:>12}", "seconds", "validated", "compiled", "tested", "active", "again");
    for language in LANGUAGES {
        let file = options.plugins.join(format!("{language}_quotation_invoice.wasm"));
        // The server has the one in Rust already, so a section more makes it another component that does the same.
        let mut wasm = std::fs::read(&file).expect("build the plugins first: `cargo xtask plugins`");
        wasm.extend([0, 2, 1, b'n']);
        server.push_bytes(language, wasm.clone()).await;
        let first = steps(&server, language).await;
        server.push_bytes(language, wasm).await;
        let again = steps(&server, language).await;
        let [validated, compiled, tested, active] = first;
        println!("{language:<12}{validated:>12.3}{compiled:>12.3}{tested:>12.3}{active:>12.3}{:>12.3}", again[3]);
    }
    server.stop().await;
}

/// Returns after how many seconds the last upload of a plugin reached each state.
async fn steps(server: &Server, name: &str) -> [f64; 4] {
    let plugin = server.get(&format!("/v1/plugins/{name}")).await;
    let steps = &plugin["uploads"][0]["steps"];
    let at = |step: &Value| step["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()).expect("a moment");
    let begun = at(&steps[0]);
    [1, 2, 3, 4].map(|place| at(&steps[place]).duration_since(begun).as_secs_f64())
}
