//! The names that every template knows, and which of a site's are not here.

use crate::frappe::Names;
use crate::python::object::Opaque;
use crate::python::{Dict, DictKind, Py, Shared, builtins, utils};

use super::ast::{Expr, Kind};
use super::objects::{Function, Module, Of};

/// Functions of Jinja's own.
const JINJA: [&str; 5] = ["cycler", "joiner", "lipsum", "namespace", "range"];

/// Functions that Frappe has beside its modules.
const FRAPPE: [&str; 4] = ["_", "_dict", "as_json", "scrub"];

/// Functions of `frappe` besides those of `frappe.utils`.
const OF_FRAPPE: [&str; 4] = ["_", "_dict", "bold", "format_date"];

/// What a site has beside these, and is not here.
const OF_THE_SITE: [&str; 11] = [
    "args",
    "dev_server",
    "get_next_link",
    "get_toc",
    "get_visible_columns",
    "guess_mimetype",
    "html2text",
    "is_job_queued",
    "log",
    "run_script",
    "style",
];

/// Returns what is said of a name that only a site has.
pub(super) fn of_the_site(name: &str) -> Option<String> {
    OF_THE_SITE.contains(&name).then(|| no_site(name))
}

/// Tells whether a name is a constant, which nothing can be assigned to.
pub(super) fn is_constant(name: &str) -> bool {
    matches!(name, "true" | "false" | "none" | "True" | "False" | "None")
}

/// Returns what a name stands for that no template has set.
pub(super) fn global(name: &str, names: &Names, kind: DictKind) -> Option<Py> {
    let text = |text: &Option<String>| text.as_ref().map_or(Py::None, Py::str);
    let function = |of, known: &[&'static str]| {
        let name = known.iter().find(|known| **known == name)?;
        Some(Py::object(Function { of, name }))
    };
    Some(match name {
        "doc" => Py::Dict(kind, names.doc.clone()),
        "before" => names.before.clone().map_or(Py::None, |before| Py::Dict(kind, before)),
        "doctype" => Py::str(&names.event.doctype),
        "doc_event" => Py::str(&names.event.doc_event),
        "event_id" => Py::str(&names.event.id),
        "user" => text(&names.event.user),
        "frappe" => Py::object(Module("frappe")),
        "utils" => Py::object(Module("frappe.utils")),
        "json" => Py::object(Module("json")),
        "self" => Py::object(Opaque("TemplateReference", "<TemplateReference None>".into())),
        _ => {
            return function(Of::Jinja, &JINJA)
                .or_else(|| function(Of::Frappe, &FRAPPE))
                .or_else(|| function(Of::Builtins, &builtins::NAMES))
                .or_else(|| function(Of::Builtins, &builtins::MORE));
        }
    })
}

/// Returns what a module holds under a name.
pub(super) fn member(module: &str, name: &str, names: &Names) -> Option<Py> {
    let function = |of, known: &[&'static str]| {
        let name = known.iter().find(|known| **known == name)?;
        Some(Py::object(Function { of, name }))
    };
    let user = || names.event.user.as_ref().map_or(Py::None, Py::str);
    match (module, name) {
        ("frappe", "utils") => Some(Py::object(Module("frappe.utils"))),
        ("frappe", "session") => Some(Py::object(Module("frappe.session"))),
        ("frappe", "user") | ("frappe.session", "user") => Some(user()),
        ("frappe", "form_dict" | "flags") => Some(Py::Dict(DictKind::Frappe, Shared::new(Dict::new()))),
        ("frappe", "date_format") => Some(Py::str("yyyy-mm-dd")),
        ("frappe", "time_format") => Some(Py::str("HH:mm:ss")),
        ("frappe", "lang") => Some(Py::str("en")),
        ("frappe", _) => function(Of::Frappe, &OF_FRAPPE).or_else(|| function(Of::Utils, &utils::NAMES)),
        ("frappe.utils", _) => function(Of::Utils, &utils::NAMES).or_else(|| {
            let format = utils::FORMATS.iter().find(|(known, _)| *known == name)?;
            Some(Py::str(format.1))
        }),
        ("json", "dumps" | "loads") => function(Of::Json, &["dumps", "loads"]),
        _ => None,
    }
}

/// Returns what is said of a dotted name that only a site could answer.
pub(super) fn asked_of_the_site(value: &Expr) -> Option<String> {
    let Kind::Attribute(base, name) = &value.kind else { return None };
    let (module, path) = match &base.kind {
        Kind::Name(root) if &**root == "frappe" => ("frappe", "frappe".to_owned()),
        Kind::Name(root) if &**root == "utils" => ("frappe.utils", "utils".to_owned()),
        Kind::Attribute(base, middle) if matches!(&base.kind, Kind::Name(root) if &**root == "frappe") => {
            match &**middle {
                "utils" => ("frappe.utils", "frappe.utils".to_owned()),
                "session" => ("frappe.session", "frappe.session".to_owned()),
                "db" => return Some(no_site(&format!("frappe.db.{name}"))),
                _ => return None,
            }
        }
        _ => return None,
    };
    let is_known = match module {
        "frappe" => {
            matches!(
                &**name,
                "utils" | "session" | "user" | "form_dict" | "flags" | "date_format" | "time_format" | "lang"
            ) || OF_FRAPPE.contains(&&**name)
                || utils::NAMES.contains(&&**name)
        }
        "frappe.session" => &**name == "user",
        _ => utils::NAMES.contains(&&**name) || utils::FORMATS.iter().any(|(known, _)| *known == &**name),
    };
    // What is asked of the database is named in full, with what comes next.
    let is_database = module == "frappe" && &**name == "db";
    (!is_known && !is_database).then(|| no_site(&format!("{path}.{name}")))
}

pub(super) fn no_site(name: &str) -> String {
    format!("{name} asks the site, which is not here; put what the template needs into the document before it is sent")
}
