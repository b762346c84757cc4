//! Frappe's Jinja: its filters, functions and way of printing.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use super::value::{BYTES_PER_FUEL, DocKind, Missing, Record, from_template, returned};
use super::{Happening, Names};
use crate::python::dumps::{Layout, dumps, escape_for_html};
use crate::python::{Args, Py, builtins, methods, utils};

/// The context's name for what filters ask about the event. No template can spell it.
const EVENT: &str = " event";

/// Filters that are functions of `frappe.utils` under another name or their own.
const FILTERS: [(&str, &str); 6] = [
    ("int", "cint"),
    ("flt", "flt"),
    ("str", "cstr"),
    ("json", "as_json"),
    ("global_date_format", "global_date_format"),
    ("striptags", "strip_html"),
];

/// Gives an environment what Frappe's has.
pub(super) fn equip(environment: &mut Environment<'static>) {
    environment.set_formatter(|out, state, value| {
        let text = printed(state, value)?;
        out.write_str(&text).map_err(Error::from)
    });
    environment.set_unknown_method_callback(|state, value, method, args| {
        let (value, args) = (from_template(state, value)?, arguments(state, args)?);
        returned(state, methods::call(&value, method, &args.given), DocKind::Dict)
    });
    for (filter, function) in FILTERS {
        environment.add_filter(filter, move |state: &mut State<'_, '_>, args: Rest<Value>| {
            let args = arguments(state, &args)?;
            returned(state, utils::call(function, &args, happening(state)?.now), DocKind::Dict)
        });
    }
    environment.add_filter("len", |state: &mut State<'_, '_>, value: &Value| {
        let args = Args { given: vec![from_template(state, value)?], named: vec![] };
        returned(state, builtins::call("len", &args), DocKind::Dict)
    });
    environment.add_filter("string", |state: &mut State<'_, '_>, value: &Value| printed(state, value));
    environment.add_filter("tojson", |state: &mut State<'_, '_>, value: &Value, _: Kwargs| {
        let value = from_template(state, value)?;
        Ok::<_, Error>(escape_for_html(&dumps(&value, Layout::OneLineSorted)))
    });
    environment.add_filter("random", random);
    environment.add_filter("default", or_default);
    environment.add_filter("d", or_default);
    environment.add_test("defined", |value: &Value| !is_missing(value));
    environment.add_test("undefined", is_missing);
    for name in builtins::NAMES.into_iter().chain(builtins::MORE) {
        // Those of the engine hand out lists without making them.
        if !matches!(name, "range" | "dict") {
            environment.add_global(name, Value::from_object(Function { of: Of::Builtins, name }));
        }
    }
    environment.add_global("utils", Module::value("frappe.utils", None));
    environment.add_global("json", Module::value("json", None));
    environment.add_function("_", |text: &Value, _: Rest<Value>| text.clone());
}

/// Makes what a template sees of an event; each name that nothing stands for prints that it is missing.
pub(super) fn context(names: &Names, kind: DocKind, asked: &HashSet<String>) -> Value {
    let record = |entries: &Arc<_>, before: Option<&Arc<_>>| {
        Value::from_object(Record { entries: Arc::clone(entries), kind, before: before.cloned() })
    };
    let mut context: HashMap<&str, Value> = HashMap::new();
    let missing = asked.iter().map(|name| (name.as_str(), Value::from_object(Missing::name(name))));
    context.extend(missing.filter(|(name, _)| !is_global(name)));
    context.insert("doc", record(&names.doc, names.before.as_ref()));
    context.insert("before", names.before.as_ref().map_or_else(|| Value::from(()), |before| record(before, None)));
    context.insert("doctype", Value::from(&names.event.doctype));
    context.insert("doc_event", Value::from(&names.event.doc_event));
    context.insert("user", names.event.user.as_deref().map_or_else(|| Value::from(()), Value::from));
    context.insert("frappe", Module::value("frappe", names.event.user.clone()));
    context.insert(EVENT, Value::from_dyn_object(names.event.clone()));
    Value::from_pairs(context)
}

fn is_global(name: &str) -> bool {
    let functions = builtins::NAMES.into_iter().chain(builtins::MORE);
    functions.chain(["utils", "json", "_", "namespace", "debug"]).any(|known| known == name)
}

impl Object for Happening {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

fn happening(state: &State<'_, '_>) -> Result<Arc<Happening>, Error> {
    let event = state.lookup(EVENT).and_then(|event| event.downcast_object::<Happening>());
    event.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there is no event here"))
}

fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Missing>().is_some()
}

fn or_default(value: &Value, default: Option<Value>, boolean: Option<bool>) -> Value {
    let absent = is_missing(value) || (boolean.unwrap_or(false) && !value.is_true());
    if absent { default.unwrap_or_else(|| Value::from("")) } else { value.clone() }
}

/// Returns what printing a value gives.
fn printed(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            state.consume_fuel(text.len() as u64 / BYTES_PER_FUEL)?;
            Ok(text.to_owned())
        }
        ValueKind::Undefined => Ok("{{ undefined value printed }}".into()),
        ValueKind::Plain => Ok(value.to_string()),
        _ => {
            let text = from_template(state, value)?.to_text();
            state.consume_fuel(text.len() as u64 / BYTES_PER_FUEL)?;
            Ok(text)
        }
    }
}

fn arguments(state: &State<'_, '_>, args: &[Value]) -> Result<Args, Error> {
    let mut read = Args::default();
    for arg in args {
        if arg.is_kwargs() {
            for name in arg.try_iter()? {
                read.named.push((name.to_string(), from_template(state, &arg.get_item(&name)?)?));
            }
        } else {
            read.given.push(from_template(state, arg)?);
        }
    }
    Ok(read)
}

/// Chooses an item: by the event, not by chance, so that the same event gives the same request.
fn random(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    struct Drawn(u64);
    let seed = happening(state)?.seed.clone();
    let length = value.len().filter(|length| *length > 0);
    let length = length.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "random needs a list with items"))?;
    let drawn = state.get_or_insert_extension(Drawn(0));
    drawn.0 += 1;
    let mut hasher = DefaultHasher::new();
    (seed, drawn.0).hash(&mut hasher);
    let place = usize::try_from(hasher.finish() % length as u64).unwrap_or(0);
    value.get_item_by_index(place)
}

/// Where a function comes from.
#[derive(Debug, Clone, Copy)]
enum Of {
    Builtins,
    Utils,
}

/// A function of Python's or Frappe's.
#[derive(Debug)]
struct Function {
    of: Of,
    name: &'static str,
}

impl Object for Function {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let args = arguments(state, args)?;
        let called = match self.of {
            Of::Builtins => builtins::call(self.name, &args),
            Of::Utils => utils::call(self.name, &args, happening(state)?.now),
        };
        returned(state, called, DocKind::Dict)
    }
}

/// A name before a dot: `frappe`, `frappe.utils`, `json`.
#[derive(Debug)]
struct Module {
    name: &'static str,
    /// Who did it, as far as the event says: all that is known of the session.
    user: Option<String>,
}

impl Module {
    fn value(name: &'static str, user: Option<String>) -> Value {
        Value::from_object(Self { name, user })
    }
}

impl Object for Module {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let function = |name| Value::from_object(Function { of: Of::Utils, name });
        match (self.name, key) {
            ("frappe", "utils") => Some(Self::value("frappe.utils", None)),
            ("frappe", "session") => Some(Self::value("frappe.session", self.user.clone())),
            ("frappe.session", "user") => Some(self.user.as_deref().map_or_else(|| Value::from(()), Value::from)),
            ("frappe" | "frappe.utils", _) => utils::NAMES.into_iter().find(|name| *name == key).map(function),
            _ => None,
        }
        .or_else(|| Some(Value::from(unanswered(self.name, key))))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let read = arguments(state, args)?;
        let called = match (self.name, method) {
            ("json", "dumps") => Ok(Py::str(dumps(read.get(0, "obj"), Layout::OneLine))),
            ("json", "loads") => utils::call("parse_json", &read, happening(state)?.now),
            ("frappe" | "frappe.utils", _) if utils::NAMES.contains(&method) => {
                utils::call(method, &read, happening(state)?.now)
            }
            ("frappe", "_") => return Ok(args.first().cloned().unwrap_or_default()),
            ("frappe", "_dict") => builtins::call("dict", &read),
            _ => return Err(unanswered(self.name, method)),
        };
        returned(state, called, DocKind::Dict)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<module '{}'>", self.name)
    }
}

/// Tells whether a dotted name of a template is one that only a site could answer.
pub(super) fn asks_the_site(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_function = |name: &&str| utils::NAMES.contains(name);
    match parts.as_slice() {
        ["frappe", "utils", function, ..] | ["utils", function, ..] => !is_function(function),
        ["frappe", "utils"] | ["frappe", "session", "user", ..] | ["frappe"] => false,
        ["frappe", name, ..] => !is_function(name) && !matches!(*name, "_" | "_dict"),
        _ => false,
    }
}

pub(super) fn no_site(name: &str) -> String {
    format!("{name} asks the site, which is not here; put what the template needs into the document before it is sent")
}

fn unanswered(module: &str, name: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, no_site(&format!("{module}.{name}")))
}
