//! The methods of a Frappe document that need nothing but the event.

use std::sync::Arc;

use super::{Dict, Py, methods, ops};

/// Calls a method of the document `doc`, which was `before` before the change.
pub(crate) fn call(doc: &Arc<Dict>, before: Option<&Arc<Dict>>, method: &str, args: &[Py]) -> Result<Py, String> {
    let field = |place: usize| args.get(place).and_then(Py::as_str).unwrap_or_default();
    let of = |doc: &Dict, name: &str| doc.get(name).cloned().unwrap_or(Py::None);
    match method {
        // Without a document before the change there is nothing to be the same.
        "has_value_changed" => {
            Ok(Py::Bool(before.is_none_or(|before| !ops::equal(&of(doc, field(0)), &of(before, field(0))))))
        }
        "get_doc_before_save" => Ok(before.cloned().map_or(Py::None, Py::Dict)),
        "is_new" => Ok(Py::Bool(doc.get("__islocal").is_some_and(Py::is_true))),
        "as_dict" => Ok(Py::Dict(doc.clone())),
        "get_title" => {
            let title = of(doc, "title");
            Ok(if title.is_true() { title } else { of(doc, "name") })
        }
        "get_formatted" => Ok(Py::str(of(doc, field(0)).to_text())),
        "get_value" => Ok(of(doc, field(0))),
        _ => methods::call(&Py::Dict(doc.clone()), method, args),
    }
}
