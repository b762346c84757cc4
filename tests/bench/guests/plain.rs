//! The same component in wasmtime as it comes: pooled instances, and nothing of hookmill's around them.

#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "generated from wit/")]

use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::Case;

mod contract {
    wasmtime::component::bindgen!({ path: "../wit", world: "plugin" });
}

use contract::exports::hookmill::plugin::transform as guest;
use contract::hookmill::plugin::{log, types};

#[derive(Default)]
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl log::Host for State {
    fn log(&mut self, _level: log::Level, _message: String) {}
}

impl types::Host for State {}

pub(crate) struct Plain {
    engine: Engine,
    pre: contract::PluginPre<State>,
}

impl Plain {
    pub(crate) fn new(wasm: &[u8]) -> Self {
        let mut config = Config::new();
        config.concurrency_support(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::new(&engine, wasm).expect("a component");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("linked");
        log::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state).expect("linked");
        let pre = linker.instantiate_pre(&component).and_then(contract::PluginPre::new).expect("a plugin");
        Self { engine, pre }
    }

    pub(crate) fn call(&mut self, case: &Case) -> types::Decision {
        let mut store = Store::new(&self.engine, State::default());
        let plugin = self.pre.instantiate(&mut store).expect("it starts");
        let event = guest::Event {
            id: case.event.id.to_string(),
            tenant: case.event.tenant.to_string(),
            doctype: case.event.doctype.clone(),
            doc_event: case.event.doc_event.clone(),
            doc_name: case.event.document.clone(),
            occurred_at: case.event.occurred_at.to_string(),
            doc: case.event.doc.as_str().to_owned(),
            before: None,
            meta: vec![],
        };
        let draft = guest::Request {
            method: case.draft.method.clone(),
            url: case.draft.url.clone(),
            headers: vec![],
            body: types::Body::Empty,
        };
        let answer = plugin.hookmill_plugin_transform().call_transform(&mut store, &event, &draft, "{}");
        answer.expect("it runs").expect("an answer")
    }
}
