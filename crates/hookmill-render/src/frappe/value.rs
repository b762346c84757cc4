//! Python's values inside of templates.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use crate::python::{Dict, Py};

/// Bytes that are copied for one unit of fuel: a template may print the largest document several times over.
pub(super) const BYTES_PER_FUEL: u64 = 64;

/// What `doc` is in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocKind {
    /// A dictionary, in which everything is as JSON has it, and what is missing is None.
    Dict,
    /// A document, in which dates are dates, and what is missing prints that it is.
    Document,
}

/// Makes a template's value of one of ours.
pub(super) fn to_template(value: &Py, kind: DocKind) -> Value {
    match value {
        Py::None => Value::from(()),
        Py::Bool(value) => Value::from(*value),
        Py::Int(value) => Value::from(*value),
        Py::Big(text) => Value::from(text.as_ref()),
        Py::Float(value) => Value::from(*value),
        Py::Str(text) => {
            let date = (kind == DocKind::Document).then(|| crate::python::dates::written(text)).flatten();
            date.map_or_else(|| Value::from(text.clone()), |date| Value::from_object(Moment(date)))
        }
        Py::List(items) => items.iter().map(|item| to_template(item, kind)).collect::<Vec<_>>().into(),
        Py::Tuple(items) => Value::from_object(Tuple::new(items.iter().map(|item| to_template(item, kind)).collect())),
        Py::Dict(entries) => Value::from_object(Record { entries: entries.clone(), kind, before: None }),
        Py::Date(_) | Py::DateTime(_) | Py::Time(_) | Py::Delta(_) => Value::from_object(Moment(value.clone())),
    }
}

/// Makes one of our values of a template's.
pub(super) fn from_template(state: &State<'_, '_>, value: &Value) -> Result<Py, Error> {
    // A list can hold one list many times, so what is gone through is counted.
    state.consume_fuel(1 + value.as_str().map_or(0, |text| text.len() as u64 / BYTES_PER_FUEL))?;
    if let Some(record) = value.downcast_object_ref::<Record>() {
        return Ok(Py::Dict(record.entries.clone()));
    }
    if let Some(Moment(moment)) = value.downcast_object_ref() {
        return Ok(moment.clone());
    }
    if let Some(missing) = value.downcast_object_ref::<Missing>() {
        return Ok(Py::str(missing.to_string()));
    }
    let items =
        || value.try_iter()?.map(|item| from_template(state, &item)).collect::<Result<Vec<_>, _>>().map(Arc::new);
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Py::None,
        ValueKind::Bool => Py::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).map(Py::Int)?,
        ValueKind::Number => f64::try_from(value.clone()).map(Py::Float)?,
        ValueKind::String => Py::str(value.as_str().unwrap_or_default()),
        ValueKind::Seq if value.is_tuple() => Py::Tuple(items()?),
        ValueKind::Seq | ValueKind::Iterable => Py::List(items()?),
        ValueKind::Map => {
            let entries = value.try_iter()?.map(|key| {
                let member = value.get_item(&key)?;
                Ok((Arc::from(key.to_string()), from_template(state, &member)?))
            });
            Py::Dict(Arc::new(entries.collect::<Result<Dict, Error>>()?))
        }
        _ => Py::str(value.to_string()),
    })
}

/// The document or a row of it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entries: Arc<Dict>,
    pub(super) kind: DocKind,
    /// The document before the change, of the document itself.
    pub(super) before: Option<Arc<Dict>>,
}

impl Object for Record {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let value = self.entries.get(key).map(|value| to_template(value, self.kind));
        Some(value.unwrap_or_else(|| match self.kind {
            DocKind::Dict => Value::from(()),
            DocKind::Document => Value::from_object(Missing::attribute(key)),
        }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.entries.keys().map(|key| Value::from(key.clone())).collect())
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = args.iter().map(|arg| from_template(state, arg)).collect::<Result<Vec<_>, _>>()?;
        let called = crate::python::document::call(&self.entries, self.before.as_ref(), method, &args);
        returned(state, called, self.kind)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Py::Dict(self.entries.clone()).to_text())
    }
}

/// A date, time or span of time.
#[derive(Debug)]
pub(super) struct Moment(pub(super) Py);

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        crate::python::methods::attribute(&self.0, key.as_str()?).map(|value| to_template(&value, DocKind::Dict))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = args.iter().map(|arg| from_template(state, arg)).collect::<Result<Vec<_>, _>>()?;
        // After an insert, Frappe has the date as text, and templates that treat it so must work too.
        let called = crate::python::methods::call(&self.0, method, &args);
        let called = called.or_else(|error| {
            crate::python::methods::call(&Py::str(self.0.to_text()), method, &args).map_err(|_| error)
        });
        returned(state, called, DocKind::Dict)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        crate::python::ops::compare(&self.0, &other.downcast_ref::<Self>()?.0)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_text())
    }
}

/// What a template names and does not have: it prints that it is missing, as Jinja's `DebugUndefined` does.
#[derive(Debug)]
pub(super) struct Missing {
    what: String,
    name: String,
}

impl Missing {
    pub(super) fn name(name: &str) -> Self {
        Self { what: name.to_owned(), name: name.to_owned() }
    }

    fn attribute(name: &str) -> Self {
        let what = format!("no such element: frappe.model.document.Document object['{name}']");
        Self { what, name: name.to_owned() }
    }

    fn error(&self) -> Error {
        Error::new(ErrorKind::UndefinedError, format!("'{}' is undefined", self.name))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{ {} }}}}", self.what)
    }
}

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from(self.error()))
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, _: &str, _: &[Value]) -> Result<Value, Error> {
        Err(self.error())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Hands what a call gave to the template, at the price of its size.
pub(super) fn returned(state: &State<'_, '_>, called: Result<Py, String>, kind: DocKind) -> Result<Value, Error> {
    let value = called.map_err(|message| Error::new(ErrorKind::InvalidOperation, message))?;
    state.consume_fuel(value.size() as u64 / BYTES_PER_FUEL)?;
    Ok(to_template(&value, kind))
}
