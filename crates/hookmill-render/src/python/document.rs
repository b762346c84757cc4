//! The methods of a Frappe document that need nothing but the event.

use super::{Args, Dict, DictKind, Key, Py, Shared, methods, ops};

/// The methods by name, besides those of a dictionary.
const NAMES: [&str; 7] =
    ["as_dict", "get", "get_all_children", "get_doc_before_save", "get_value", "has_value_changed", "is_new"];

/// Tells whether a document has this method.
pub(crate) fn has(method: &str) -> bool {
    NAMES.contains(&method)
}

/// Methods that only a site could answer: they need the DocType, the database, or change the document.
const OF_THE_SITE: [&str; 18] = [
    "add_comment",
    "append",
    "db_get",
    "db_set",
    "delete",
    "extend",
    "get_db_value",
    "get_formatted",
    "get_password",
    "get_title",
    "get_url",
    "has_permission",
    "is_dummy_password",
    "reload",
    "run_method",
    "save",
    "set",
    "update",
];

/// Tells whether only a site could answer a method of a document.
pub(crate) fn asks_the_site(method: &str) -> bool {
    OF_THE_SITE.contains(&method)
}

/// Calls a method of the document `doc`, which was `before` before the change.
pub(crate) fn call(doc: &Shared<Dict>, before: Option<&Shared<Dict>>, method: &str, args: &Args) -> Result<Py, String> {
    let name = || args.get(0, "fieldname").as_str().unwrap_or_default().to_owned();
    let of = |doc: &Shared<Dict>, name: &str| doc.get().get(name).cloned().unwrap_or(Py::None);
    match method {
        // Without a document before the change there is nothing to be the same. Frappe compares the rows of a child
        // table as objects, which are never the same.
        "has_value_changed" => {
            let (name, Some(before)) = (name(), before) else { return Ok(Py::Bool(true)) };
            let (now, then) = (of(doc, &name), of(before, &name));
            let has_rows = |value: &Py| value.items().is_some_and(|rows| rows.iter().any(is_row));
            Ok(Py::Bool(has_rows(&now) || has_rows(&then) || !ops::equal(&now, &then)))
        }
        "get_doc_before_save" => Ok(before.cloned().map_or(Py::None, |before| Py::Dict(DictKind::Document, before))),
        // Frappe answers with the mark that a form puts on a document of its own, or None.
        "is_new" => Ok(of(doc, "__islocal")),
        "as_dict" => Ok(Py::Dict(DictKind::Frappe, doc.clone())),
        "get_all_children" => {
            let doc = doc.get();
            let rows = doc.values().filter_map(Py::items).flat_map(|rows| rows.iter().cloned().collect::<Vec<_>>());
            Ok(Py::list(rows.filter(is_row)))
        }
        "get_value" => Ok(of(doc, &name())),
        _ if asks_the_site(method) => Err(format!("doc.{method} asks the site, which is not here")),
        "get" if matches!(args.get(1, "filters"), Py::Dict(..)) => filtered(&of(doc, &name()), args.get(1, "filters")),
        _ => methods::call(&Py::Dict(DictKind::Frappe, doc.clone()), method, args),
    }
}

fn is_row(value: &Py) -> bool {
    matches!(value, Py::Dict(..))
}

/// Returns the rows of a child table that fit: `{"field": value}` or `{"field": [operator, value]}`.
fn filtered(rows: &Py, filters: &Py) -> Result<Py, String> {
    let Py::Dict(_, filters) = filters else { return Ok(rows.clone()) };
    let filters = filters.get();
    let mut kept = Vec::new();
    for row in rows.items().iter().flat_map(|rows| rows.iter()) {
        let Py::Dict(_, entries) = row else { continue };
        let entries = entries.get();
        let mut fits = true;
        for (Key(field), wanted) in filters.iter() {
            let value = entries.get(field.as_str().unwrap_or_default()).cloned().unwrap_or(Py::None);
            fits = fits && fits_filter(&value, wanted)?;
        }
        if fits {
            kept.push(row.clone());
        }
    }
    Ok(Py::list(kept))
}

fn fits_filter(value: &Py, wanted: &Py) -> Result<bool, String> {
    let Some(pair) = wanted.items() else {
        return Ok(match (value, wanted) {
            // As Frappe has it: what must be true, or must not be.
            (_, Py::Bool(wanted)) => value.is_true() == *wanted,
            _ => ops::equal(value, wanted),
        });
    };
    let [operator, wanted] = pair.as_slice() else { return Err("a filter is an operator and a value".into()) };
    let ordering = || ops::compare(value, wanted);
    let listed = || match wanted {
        Py::Str(text) => Ok(text.split(',').any(|part| value.as_str() == Some(part.trim()))),
        list => ops::contains(list, value),
    };
    Ok(match operator.as_str().unwrap_or_default() {
        "=" => ops::equal(value, wanted),
        "!=" => !ops::equal(value, wanted),
        ">" => ordering().is_some_and(std::cmp::Ordering::is_gt),
        "<" => ordering().is_some_and(std::cmp::Ordering::is_lt),
        ">=" => ordering().is_some_and(std::cmp::Ordering::is_ge),
        "<=" => ordering().is_some_and(std::cmp::Ordering::is_le),
        "in" => listed()?,
        "not in" => !listed()?,
        "^" => value.as_str().zip(wanted.as_str()).is_some_and(|(text, start)| text.starts_with(start)),
        other => return Err(format!("the filter {other:?} is not offered here")),
    })
}
