//! A linked component runs the same before and after, and what can't be moved is left.

use wasmparser::{Parser, Payload};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::own_table;

/// A component as a linker of libraries makes it.
const LINKED: &str = r#"(component (component $linked
    (core module $main
        (type $number (func (result i32)))
        (table (export "__indirect_function_table") 6 funcref)
        (memory (export "memory") 1)
        (global (export "library:table_base") i32 (i32.const 1))
        (global (export "other:table_base") i32 (i32.const 3))
        (func (export "late") (result i32) i32.const 4 call_indirect (type $number)))
    (core module $library
        (type $number (func (result i32)))
        (import "env" "memory" (memory 1))
        (import "env" "unused" (global $unused i32))
        (import "env" "__table_base" (global $base i32))
        (import "env" "__indirect_function_table" (table 2 funcref))
        (func $one (result i32) i32.const 1)
        (func $two (result i32) i32.const 2)
        (elem (global.get $base) func $one $two)
        (func (export "ten") (result i32) i32.const 10)
        (func (export "call") (param i32) (result i32) local.get 0 call_indirect (type $number)))
    (core module $other
        (import "env" "__table_base" (global $base i32))
        (import "env" "__indirect_function_table" (table 0 funcref))
        (func $three (result i32) i32.const 3)
        (elem (global.get $base) func $three))
    (core module $last
        (import "env" "memory" (memory 1))
        (import "env" "__indirect_function_table" (table 0 funcref))
        (import "library" "ten" (func $ten (result i32)))
        (elem (i32.const 4) func $ten))
    (core module $shim (table (export "table") 1 funcref))
    (core instance $main (instantiate $main))
    ;; before
    (alias core export $main "memory" (core memory $memory))
    (alias core export $main "library:table_base" (core global $library-base))
    (alias core export $main "__indirect_function_table" (core table $table))
    (core instance $library-env
        (export "memory" (memory $memory))
        (export "unused" (global $library-base))
        (export "__table_base" (global $library-base))
        (export "__indirect_function_table" (table $table)))
    (core instance $library (instantiate $library (with "env" (instance $library-env))))
    (core instance $shim (instantiate $shim))
    (alias core export $shim "table" (core table $shim-table))
    (alias core export $main "other:table_base" (core global $other-base))
    (core instance $other-env
        (export "__table_base" (global $other-base))
        (export "__indirect_function_table" (table $table))
        (export "shim" (table $shim-table)))
    (core instance $other (instantiate $other (with "env" (instance $other-env))))
    (core instance $last (instantiate $last (with "env" (instance $main)) (with "library" (instance $library))))
    (core instance $after (instantiate $shim))
    ;; after
    (alias core export $main "late" (core func $late))
    (alias core export $library "call" (core func $call))
    (func (export "late") (result u32) (canon lift (core func $late)))
    (func (export "call") (param "entry" u32) (result u32) (canon lift (core func $call))))
    (instance $linked (instantiate $linked))
    (export "late" (func $linked "late"))
    (export "call" (func $linked "call")))"#;

/// Calls the main module's way to an entry, and each entry of the table; a call of none fails.
fn calls(component: &[u8]) -> Vec<Option<u32>> {
    let engine = Engine::default();
    let component = Component::new(&engine, component).expect("a component");
    let call = |name: &str, entry: Option<u32>| {
        // After a trap an instance takes no more calls.
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).expect("an instance");
        match entry {
            Some(entry) => {
                let function = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name).expect("a function");
                function.call(&mut store, (entry,))
            }
            None => instance.get_typed_func::<(), (u32,)>(&mut store, name).expect("a function").call(&mut store, ()),
        }
        .ok()
        .map(|(answer,)| answer)
    };
    let late = call("late", None);
    std::iter::once(late).chain((0..7).map(|entry| call("call", Some(entry)))).collect()
}

/// Tells for each module whether it has a table, and fills it itself.
fn owners(component: &[u8]) -> Vec<(bool, bool)> {
    let mut modules = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } => modules.push((false, false)),
            Payload::TableSection(_) => modules.last_mut().expect("a module").0 = true,
            Payload::ElementSection(_) => modules.last_mut().expect("a module").1 = true,
            _ => {}
        }
    }
    modules
}

#[test]
fn the_library_that_fills_a_table_first_comes_to_own_it_and_every_call_ends_as_before() {
    let before = wat::parse_str(LINKED).expect("a component");
    let expected = [Some(10), None, Some(1), Some(2), Some(3), Some(10), None, None];
    assert_eq!(calls(&before), expected);
    let after = own_table(&before).expect("it is read").expect("it is changed");
    assert_eq!(calls(&after), expected);
    let owners = owners(&after);
    assert_eq!((owners[0], owners[1]), ((true, false), (true, true)), "main module, library: {owners:?}");
    assert_eq!(own_table(&after).expect("it is read"), None, "there is nothing more to do");
}

#[test]
fn a_table_that_somebody_would_miss_stays_where_it_is() {
    let stays = |what: &str, from: &str, to: &str| {
        assert!(LINKED.contains(from), "{what}: {from}");
        let component = wat::parse_str(LINKED.replacen(from, to, 1)).expect(what);
        // Each of them is a component that runs.
        calls(&component);
        assert_eq!(own_table(&component).expect("it is read"), None, "{what}");
    };
    stays(
        "another entry is called",
        "i32.const 4 call_indirect (type $number)",
        "i32.const 1 call_indirect (type $number)",
    );
    stays("any entry is called", "i32.const 4 call_indirect", "memory.size call_indirect");
    stays("it is measured", "i32.const 4 call_indirect (type $number)", "table.size");
    stays("its definer fills it too", "(func (export \"late\")", "(elem (i32.const 4) func 0) (func (export \"late\")");
    let computed = "i32 (i32.add (i32.const 0) (i32.const 1))";
    stays("its beginning is computed", "i32 (i32.const 1)", computed);
    stays(
        "elements stand elsewhere",
        "(elem (global.get $base) func $one $two)",
        "(elem (i32.const 1) func $one $two)",
    );
    stays("a second table", "(func $one", "(table 1 funcref) (func $one");
    stays(
        "the last does more",
        "(elem (i32.const 4) func $ten)",
        "(elem (i32.const 4) func $ten) (func $begin) (start $begin)",
    );
    stays(
        "the last writes",
        "(elem (i32.const 4) func $ten)",
        "(elem (i32.const 4) func $ten) (data (i32.const 0) \"x\")",
    );
    stays("somebody has it before", ";; before", "(alias core export $main \"__indirect_function_table\" (core table $early))
        (alias core export $main \"other:table_base\" (core global $early-base))
        (core instance $early-env (export \"__table_base\" (global $early-base)) (export \"__indirect_function_table\" (table $early)))
        (core instance $early (instantiate $other (with \"env\" (instance $early-env))))");
    stays(
        "somebody has it as it was gathered before",
        "(core instance $other (instantiate $other (with \"env\" (instance $other-env))))",
        "(core instance $other (instantiate $other (with \"env\" (instance $library-env))))",
    );
    stays(
        "a library that is there twice",
        ";; after",
        "(core instance $twice (instantiate $library (with \"env\" (instance $library-env))))",
    );
    stays(
        "somebody has it after the last",
        ";; after",
        "(core instance $later (instantiate $other (with \"env\" (instance $other-env))))",
    );
}
