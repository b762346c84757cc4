//! Writing what came out into a fixture's file, with all else in it left as it is.

use anyhow::Context as _;
use hookmill::plugin::Expect;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use jsonc_parser::{JsonValue, ParseOptions, parse_to_value};

/// Returns the text of a fixture with another `expect`; numbers keep their spelling.
pub(super) fn with_expect(text: &str, expect: &Expect) -> anyhow::Result<String> {
    let expect = serde_json::to_string(expect)?;
    let value = parse_to_value(&expect, &ParseOptions::default())?.context("it expects nothing")?;
    let root = CstRootNode::parse(text, &ParseOptions::default())?;
    let fixture = root.object_value().context("it is no JSON object")?;
    match fixture.get("expect") {
        Some(present) => present.set_value(input(value)),
        None => {
            fixture.append("expect", input(value));
        }
    }
    Ok(root.to_string())
}

fn input(value: JsonValue<'_>) -> CstInputValue {
    match value {
        JsonValue::Null => CstInputValue::Null,
        JsonValue::Boolean(value) => CstInputValue::Bool(value),
        JsonValue::Number(text) => CstInputValue::Number(text.to_owned()),
        JsonValue::String(text) => CstInputValue::String(text.into_owned()),
        JsonValue::Array(values) => CstInputValue::Array(values.into_iter().map(input).collect()),
        JsonValue::Object(fields) => {
            CstInputValue::Object(fields.into_iter().map(|(key, value)| (key.into_owned(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(json: &str) -> Expect {
        serde_json::from_str(json).expect("an expectation")
    }

    #[test]
    fn only_what_is_expected_is_rewritten() {
        let before = "{\n  \"settings\": {},\n  \"expect\": {\"skip\": \"no\"},\n  \"event\": {\"doc\":   {\"total\": 1.50}}\n}\n";
        let after = with_expect(before, &expect(r#"{"send":{"body":{"total":1.50,"of":["a\n\"b\"",1e400],"é":{}}}}"#));
        assert_eq!(
            after.expect("JSON"),
            "{\n  \"settings\": {},\n  \"expect\": {\n    \"send\": {\n      \"body\": {\n        \"total\": 1.50,\n        \
             \"of\": [\"a\\n\\\"b\\\"\", 1e400],\n        \"é\": {}\n      }\n    }\n  },\n  \"event\": {\"doc\":   {\"total\": 1.50}}\n}\n"
        );
    }

    #[test]
    fn what_expected_nothing_does_so_at_its_end() {
        let after = with_expect("{\n  \"event\": {}\n}\n", &expect(r#"{"fail":"plugin_panic"}"#)).expect("JSON");
        assert_eq!(after, "{\n  \"event\": {},\n  \"expect\": {\n    \"fail\": \"plugin_panic\"\n  }\n}\n");
    }
}
