//! Filters: Jinja's own, and Frappe's.

mod lists;
mod texts;

use std::sync::Arc;

use super::ast::{Expr, Kind};
use super::run::Run;
use super::tests;
use crate::python::dumps::{Layout, dumps, escape_for_html};
use crate::python::{Args, Missing, Py, WEIGHT_MAX, builtins, methods, ops, percent, utils};

pub(super) use texts::escaped;

type Made = Result<Py, String>;

const NAMES: [&str; 58] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "flt",
    "forceescape",
    "format",
    "global_date_format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "json",
    "last",
    "len",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "str",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

/// Filters that a site has, and why they are not here.
const ELSEWHERE: [(&str, &str); 3] = [
    ("markdown", "is not offered here; put the HTML into the document before it is sent"),
    ("abs_url", "asks the site for its address, which is not here"),
    ("urlize", "is not offered here"),
];

/// Tells whether there is a filter of this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Returns why a filter is refused when a template is saved; nothing of one that is there.
pub(super) fn refused(name: &str) -> Option<String> {
    if is_known(name) {
        return None;
    }
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == name);
    Some(
        elsewhere.map_or_else(|| format!("No filter named '{name}'."), |(_, why)| format!("the filter '{name}' {why}")),
    )
}

/// Tells whether an expression says that it is safe to print.
pub(super) fn is_safe(printed: &Expr) -> bool {
    matches!(&printed.kind, Kind::Filter(_, name, _) if matches!(&**name, "safe" | "e" | "escape" | "forceescape" | "tojson"))
}

/// Applies a filter.
pub(super) fn apply(run: &mut Run, name: &str, value: &Py, args: &Args) -> Made {
    // What a filter goes through, it goes through without counting.
    let mut left = WEIGHT_MAX;
    value.weigh(&mut left)?;
    run.pay((WEIGHT_MAX - left) / 8)?;
    match name {
        "default" | "d" => Ok(or_default(value, args)),
        "attr" => {
            let name = Arc::from(args.need(0, "name")?.as_str().ok_or("attr needs a name")?);
            run.attribute(value, &name)
        }
        "safe" => Ok(value.clone()),
        "string" => Ok(Py::str(builtins::text(value, false)?)),
        "length" | "count" | "len" => builtins::length(value).map(|length| Py::Int(length as i128)),
        "pprint" => {
            let text = builtins::text(value, true)?;
            if text.len() > 80 {
                Err("pprint of so much is not offered here; use tojson".into())
            } else {
                Ok(Py::str(text))
            }
        }
        "tojson" => {
            let layout = Layout::one_line_sorted().with(args, Some(0))?;
            dumps(value, &layout).map(|json| Py::str(escape_for_html(&json)))
        }
        "map" | "select" | "reject" | "selectattr" | "rejectattr" | "join" | "first" | "last" | "list" | "sort"
        | "unique" | "groupby" | "sum" | "min" | "max" | "batch" | "slice" | "reverse" | "dictsort" | "items"
        | "random" => lists::apply(run, name, value, args),
        "abs" | "round" | "float" | "filesizeformat" => number(name, value, args),
        "int" | "flt" | "str" | "json" | "global_date_format" => {
            let function = match name {
                "int" => "cint",
                "str" => "cstr",
                "json" => "as_json",
                other => other,
            };
            let mut given = Args { given: vec![value.clone()], named: args.named.clone() };
            given.given.extend(args.given.iter().cloned());
            utils::call(function, &given, run.names.event.now)
        }
        "format" => {
            let text = soft(value)?;
            let arguments = match (args.given.as_slice(), args.named.as_slice()) {
                ([], []) => Py::tuple([]),
                ([], _) => {
                    let named =
                        args.named.iter().map(|(name, value)| (crate::python::Key::text(name.as_str()), value.clone()));
                    Py::dict(named)
                }
                (given, _) => Py::tuple(given.iter().cloned()),
            };
            percent::percent(&text, &arguments)
        }
        _ => texts::apply(name, value, args),
    }
}

/// Tells whether a value passes the test of this name; without one, whether it is true.
fn passes(value: &Py, args: &[Py]) -> Result<bool, String> {
    let Some((name, others)) = args.split_first() else { return Ok(value.is_true()) };
    let name = name.as_str().ok_or("the name of a test must be text")?;
    tests::holds(name, value, others)
}

fn or_default(value: &Py, args: &Args) -> Py {
    let if_false = args.get(1, "boolean").is_true();
    if matches!(value, Py::Missing(_)) || (if_false && !value.is_true()) {
        return args.given.first().or_else(|| args.named("default_value")).cloned().unwrap_or_else(|| Py::str(""));
    }
    value.clone()
}

/// Returns a value as text, as Jinja's filters of text take it.
fn soft(value: &Py) -> Result<String, String> {
    match value {
        Py::Missing(missing) => Ok(Missing::text(missing)),
        other => builtins::text(other, false),
    }
}

fn number(name: &str, value: &Py, args: &Args) -> Made {
    if let Py::Missing(missing) = value {
        return Err(missing.error());
    }
    match name {
        "abs" => builtins::call("abs", &Args::given([value.clone()])),
        "float" => {
            let number = value.as_str().map_or_else(|| ops::number(value), utils::python_float);
            let otherwise = args.given.first().or_else(|| args.named("default")).cloned();
            Ok(number.map_or_else(|| otherwise.unwrap_or(Py::Float(0.0)), Py::Float))
        }
        "filesizeformat" => {
            let bytes = utils::flt(value);
            let is_binary = args.get(0, "binary").is_true();
            Ok(Py::str(file_size(bytes, is_binary)))
        }
        _ => rounded(value, args),
    }
}

fn rounded(value: &Py, args: &Args) -> Made {
    let digits = args.given.first().or_else(|| args.named("precision")).map_or(0, utils::cint);
    let method = args.given.get(1).or_else(|| args.named("method")).and_then(Py::as_str).unwrap_or("common");
    let no_number = || format!("type {} doesn't define __round__ method", value.type_name());
    match method {
        "common" => builtins::call("round", &Args::given([value.clone(), Py::Int(digits)])),
        "ceil" | "floor" => {
            let factor = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0));
            let scaled = ops::number(value).ok_or_else(no_number)? * factor;
            Ok(Py::Float(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / factor))
        }
        _ => Err("method must be common, ceil or floor".into()),
    }
}

fn file_size(bytes: f64, is_binary: bool) -> String {
    let (base, units) = match is_binary {
        true => (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]),
        false => (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{bytes:.0} Bytes");
    }
    let mut unit = base;
    let mut name = "";
    for known in units {
        name = known;
        unit *= base;
        if bytes < unit {
            break;
        }
    }
    format!("{:.1} {name}", base * bytes / unit)
}

/// Calls a method of text on what a filter is given.
fn text_method(value: &Py, method: &str, args: &Args) -> Made {
    methods::call(&Py::str(soft(value)?), method, args)
}
