//! Spellings that Python made, and properties of ours.

use proptest::prelude::*;

use super::dumps::{Layout, dumps};
use super::{Py, spell};

/// Numbers as text, and what Python's `repr(float(text))` gives.
const FLOATS: &str = include_str!("../../tests/floats.txt");

#[test]
fn floats_are_spelt_as_python_spells_them() {
    let mut count = 0;
    for line in FLOATS.lines() {
        let (bits, repr) = line.split_once(' ').expect("two columns");
        let value = f64::from_bits(u64::from_str_radix(bits, 16).expect("bits"));
        assert_eq!(spell::float(value), repr, "{bits}");
        count += 1;
    }
    assert!(count > 500, "{count}");
}

#[test]
fn json_is_read_and_written_as_python_does_it() {
    for (given, written) in [
        (
            "[1, 1.0, -0.0, 1e16, 1E-7, 1e22, 123456789012345678901234567890]",
            "[1, 1.0, -0.0, 1e+16, 1e-07, 1e+22, 123456789012345678901234567890]",
        ),
        ("[NaN, Infinity, -Infinity, 1e400, -0]", "[NaN, Infinity, -Infinity, Infinity, 0]"),
        (r#"{"b": 1, "a": 2, "b": {"c": []}}"#, r#"{"b": {"c": []}, "a": 2}"#),
        (
            r#""\u00e9\/\ud83c\udf89\b\f\n\r\t\u0000\u007f \" \\""#,
            r#""\u00e9/\ud83c\udf89\b\f\n\r\t\u0000\u007f \" \\""#,
        ),
        (r#"[true, false, null, "é🎉"]"#, r#"[true, false, null, "\u00e9\ud83c\udf89"]"#),
    ] {
        assert_eq!(dumps(&Py::loads(given).expect("JSON"), &Layout::one_line()).expect("JSON"), written, "{given}");
    }
    let value = Py::loads(r#"{"b": [1, {"z": 1, "y": []}], "a": {}, "B": null}"#).expect("JSON");
    let indented = "{\n \"B\": null,\n \"a\": {},\n \"b\": [\n  1,\n  {\n   \"y\": [],\n   \"z\": 1\n  }\n ]\n}";
    assert_eq!(dumps(&value, &Layout::indented()).expect("JSON"), indented);
    for broken in ["", "{", "[1,]", "{'a': 1}", "[1] 2", "nan", "+1", "01", "\"\n\""] {
        assert!(Py::loads(broken).is_err(), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn a_float_reads_back_as_itself(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = spell::float(value);
        prop_assert_eq!(text.parse::<f64>().expect("a number").to_bits(), bits);
        prop_assert!(text.contains(['.', 'e']), "{}", text);
    }

    #[test]
    fn a_string_is_ascii_and_reads_back_as_itself(text: String) {
        let written = dumps(&Py::str(&text), &Layout::one_line()).expect("JSON");
        prop_assert!(written.is_ascii() && !written.contains(|c: char| c.is_control()));
        prop_assert_eq!(serde_json::from_str::<String>(&written).expect("JSON"), text);
    }
}
