//! What templates hold that is no plain value: functions, modules, loops, macros.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::ast;
use crate::python::{Dict, Missing, Object, Py, Shared};

/// The names of one block.
pub(super) type Scope = Arc<Mutex<Names>>;

/// What each name stands for.
pub(super) type Names = HashMap<Arc<str>, Py>;

/// Where a function comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Builtins,
    Utils,
    Json,
    Jinja,
    Frappe,
}

/// A function by its name.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) of: Of,
    pub(super) name: &'static str,
}

impl Object for Function {
    fn type_name(&self) -> &'static str {
        "function"
    }

    fn text(&self) -> String {
        match self.of {
            Of::Builtins => format!("<class '{}'>", self.name),
            _ => format!("<function {}>", self.name),
        }
    }
}

/// A method of a value, not yet called.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) value: Py,
    pub(super) name: Arc<str>,
}

impl Object for Method {
    fn type_name(&self) -> &'static str {
        "builtin_function_or_method"
    }

    fn text(&self) -> String {
        format!("<built-in method {} of {} object>", self.name, self.value.type_name())
    }
}

/// A name before a dot: `frappe`, `frappe.utils`, `json`.
#[derive(Debug)]
pub(super) struct Module(pub(super) &'static str);

impl Object for Module {
    fn type_name(&self) -> &'static str {
        "module"
    }

    fn text(&self) -> String {
        format!("<module '{}'>", self.0)
    }
}

/// A macro, or what stands between `{% call %}` and its end.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) definition: Arc<ast::Macro>,
    /// The names around the definition. Who defines it holds them, and one of them is the macro itself.
    pub(super) around: Vec<Weak<Mutex<Names>>>,
}

impl Object for Macro {
    fn type_name(&self) -> &'static str {
        "Macro"
    }

    fn text(&self) -> String {
        format!("<Macro {}>", Py::str(&self.definition.name).repr())
    }

    fn attribute(&self, name: &str) -> Option<Py> {
        match name {
            "name" => Some(Py::str(&self.definition.name)),
            "arguments" => Some(Py::tuple(self.definition.parameters.iter().map(|(name, _)| Py::str(name)))),
            _ => None,
        }
    }
}

/// What a namespace holds.
#[derive(Debug)]
pub(super) struct Namespace(pub(super) Shared<Dict>);

impl Object for Namespace {
    fn type_name(&self) -> &'static str {
        "Namespace"
    }

    fn text(&self) -> String {
        format!("<Namespace {}>", Py::Dict(crate::python::DictKind::Plain, self.0.clone()).repr())
    }

    fn attribute(&self, name: &str) -> Option<Py> {
        self.0.get().get(name).cloned()
    }
}

/// `joiner`: nothing at the first call, its text at all others.
#[derive(Debug)]
pub(super) struct Joiner {
    pub(super) separator: Py,
    pub(super) used: AtomicBool,
}

impl Object for Joiner {
    fn type_name(&self) -> &'static str {
        "Joiner"
    }
}

impl Joiner {
    pub(super) fn call(&self) -> Py {
        if self.used.swap(true, Ordering::Relaxed) { self.separator.clone() } else { Py::str("") }
    }
}

/// `cycler`: one item after the other.
#[derive(Debug)]
pub(super) struct Cycler {
    pub(super) items: Vec<Py>,
    pub(super) place: AtomicUsize,
}

impl Object for Cycler {
    fn type_name(&self) -> &'static str {
        "Cycler"
    }

    fn attribute(&self, name: &str) -> Option<Py> {
        (name == "current").then(|| self.item(self.place.load(Ordering::Relaxed)))
    }
}

impl Cycler {
    fn item(&self, place: usize) -> Py {
        place.checked_rem(self.items.len()).and_then(|place| self.items.get(place)).cloned().unwrap_or(Py::None)
    }

    pub(super) fn next(&self) -> Py {
        self.item(self.place.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn reset(&self) {
        self.place.store(0, Ordering::Relaxed);
    }
}

/// What the body of a loop knows of it.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) place: usize,
    pub(super) items: Arc<Vec<Py>>,
    pub(super) level: usize,
    pub(super) changed: Arc<Mutex<Option<Vec<Py>>>>,
    /// The loop itself, if it may be called for what is inside of an item.
    pub(super) again: Option<Arc<ast::For>>,
}

impl Object for Loop {
    fn type_name(&self) -> &'static str {
        "LoopContext"
    }

    fn text(&self) -> String {
        format!("<LoopContext {}/{}>", self.place + 1, self.items.len())
    }

    fn attribute(&self, name: &str) -> Option<Py> {
        let number = |number: usize| Some(Py::Int(number as i128));
        let beside = |place: Option<usize>, which: &str| {
            let found = place.and_then(|place| self.items.get(place)).cloned();
            Some(found.unwrap_or_else(|| Missing::hint(format!("there is no {which} item"))))
        };
        match name {
            "index" => number(self.place + 1),
            "index0" => number(self.place),
            "revindex" => number(self.items.len() - self.place),
            "revindex0" => number(self.items.len() - self.place - 1),
            "first" => Some(Py::Bool(self.place == 0)),
            "last" => Some(Py::Bool(self.place + 1 == self.items.len())),
            "length" => number(self.items.len()),
            "depth" => number(self.level + 1),
            "depth0" => number(self.level),
            "previtem" => beside(self.place.checked_sub(1), "previous"),
            "nextitem" => beside(Some(self.place + 1), "next"),
            _ => None,
        }
    }
}

impl Loop {
    /// Returns the item whose turn it is.
    pub(super) fn cycle(&self, items: &[Py]) -> Result<Py, String> {
        let place = self.place.checked_rem(items.len()).ok_or("no items for cycling given")?;
        Ok(items.get(place).cloned().unwrap_or(Py::None))
    }

    /// Tells whether these values are others than at the last call.
    pub(super) fn has_changed(&self, values: &[Py]) -> Py {
        let mut last = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let same = last.as_ref().is_some_and(|last| {
            last.len() == values.len() && last.iter().zip(values).all(|(a, b)| crate::python::ops::equal(a, b))
        });
        *last = Some(values.to_vec());
        Py::Bool(!same)
    }
}
