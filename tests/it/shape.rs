//! Components written by hand, to do what no compiler would.

/// Encodes a component from its text.
pub(crate) fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a component in text")
}

/// A component with the contract's types around a core module of `parts`, which exports `memory`, `realloc` and
/// `transform`. What `transform` returns is the address of its answer, laid out as the component model's canonical ABI
/// has it.
///
/// What follows a line `;; beside` is the body of another core module, of which seven instances stand beside it for the
/// first to import, `beside0` to `beside6`.
pub(crate) fn wit_shaped(parts: &str) -> Vec<u8> {
    let (parts, beside) = parts.split_once("\n;; beside\n").unwrap_or((parts, ""));
    let places = if beside.is_empty() { 0..0 } else { 0..7 };
    let instances: String = places.clone().map(|n| format!("(core instance $b{n} (instantiate $beside))")).collect();
    let with: String = places.map(|n| format!(r#"(with "beside{n}" (instance $b{n}))"#)).collect();
    component(&format!(
        r#"(component
          (type $event' (record (field "id" string) (field "tenant" string) (field "doctype" string)
            (field "doc-event" string) (field "doc-name" string) (field "occurred-at" string) (field "doc" string)
            (field "before" (option string)) (field "meta" (list (tuple string string)))))
          (import "hookmill:plugin/types@1.0.0" (instance $types
            (type $event'' (record (field "id" string) (field "tenant" string) (field "doctype" string)
              (field "doc-event" string) (field "doc-name" string) (field "occurred-at" string) (field "doc" string)
              (field "before" (option string)) (field "meta" (list (tuple string string)))))
            (export "event" (type $event (eq $event'')))
            (type $body' (variant (case "empty") (case "json" string) (case "text" string)
              (case "bytes" (list u8))))
            (export "body" (type $body (eq $body')))
            (type $request' (record (field "method" string) (field "url" string)
              (field "headers" (list (tuple string string))) (field "body" $body)))
            (export "request" (type $request (eq $request')))
            (type $decision' (variant (case "send" $request) (case "skip" string)))
            (export "decision" (type $decision (eq $decision')))
            (type $problem' (record (field "code" string) (field "message" string) (field "path" (option string))))
            (export "problem" (type $problem (eq $problem')))
            (type $failure' (variant (case "bad-document" $problem) (case "bad-settings" $problem)
              (case "other" $problem)))
            (export "failure" (type $failure (eq $failure')))))
          (alias export $types "event" (type $event))
          (alias export $types "request" (type $request))
          (alias export $types "decision" (type $decision))
          (alias export $types "failure" (type $failure))
          (core module $beside {beside})
          {instances}
          (core module $m
            {parts})
          (core instance $i (instantiate $m {with}))
          (alias core export $i "memory" (core memory $memory))
          (type $result (result $decision (error $failure)))
          (func $f (param "event" $event) (param "draft" $request) (param "settings" string) (result $result)
            (canon lift (core func $i "transform") (memory $memory) (realloc (core func $i "realloc"))))
          (instance $transform (export "event" (type $event)) (export "request" (type $request))
            (export "decision" (type $decision)) (export "failure" (type $failure))
            (export "transform" (func $f)))
          (export "hookmill:plugin/transform@1.0.0" (instance $transform)))"#
    ))
}
