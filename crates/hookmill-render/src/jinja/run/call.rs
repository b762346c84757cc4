//! Calls of functions, methods and macros.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use super::super::ast::{Arguments, Expr, Kind};
use super::super::objects::{Cycler, Function, Joiner, Loop, Macro, Method, Namespace, Of};
use super::{Result, Run, fault, object_as};
use crate::python::dumps::{Layout, dumps};
use crate::python::{Args, DictKind, Key, Py, Shared, WEIGHT_MAX, builtins, change, document, methods, utils};

type Made = std::result::Result<Py, String>;

impl Run {
    pub(super) fn arguments(&mut self, arguments: &Arguments) -> Result<Args> {
        let mut args = Args { given: self.values(&arguments.given)?, named: vec![] };
        for (name, value) in &arguments.named {
            args.named.push((name.to_string(), self.value(value)?));
        }
        if let Some(more) = &arguments.more {
            let value = self.value(more)?;
            args.given.extend(value.iterate().map_err(|message| fault(message, &more.at))?);
        }
        if let Some(more) = &arguments.more_named {
            let Py::Dict(_, entries) = self.value(more)? else {
                return Err(fault("argument after ** must be a mapping", &more.at));
            };
            let entries = entries.get();
            args.named.extend(entries.iter().map(|(key, value)| (key.0.to_text(), value.clone())));
        }
        Ok(args)
    }

    /// Runs the call of a `{% call %}` block.
    pub(super) fn called_with(&mut self, call: &Expr, caller: Py) -> Result<Py> {
        let Kind::Call(called, arguments) = &call.kind else { return self.value(call) };
        self.called(call, called, arguments, Some(caller))
    }

    pub(super) fn called(
        &mut self,
        part: &Expr,
        called: &Expr,
        arguments: &Arguments,
        caller: Option<Py>,
    ) -> Result<Py> {
        // The base of a method comes before its arguments, as everything is read from left to right.
        if let Kind::Attribute(base, name) = &called.kind {
            let base = self.value(base)?;
            let args = self.arguments(arguments)?;
            if let Some(made) = self.method(&base, name, &args) {
                return made.map_err(|message| fault(message, &part.at));
            }
            let found = self.attribute(&base, name).map_err(|message| fault(message, &called.at))?;
            return self.call(part, &found, &args, caller);
        }
        let found = self.value(called)?;
        let args = self.arguments(arguments)?;
        self.call(part, &found, &args, caller)
    }

    /// Calls a method of a value; none if it has no such.
    fn method(&mut self, value: &Py, name: &Arc<str>, args: &Args) -> Option<Made> {
        if let Py::Missing(missing) = value {
            return Some(Err(missing.error()));
        }
        if name.starts_with('_') {
            return None;
        }
        if let Some(of) = object_as::<Loop>(value) {
            return match &**name {
                "cycle" => Some(of.cycle(&args.given)),
                "changed" => Some(Ok(of.has_changed(&args.given))),
                _ => None,
            };
        }
        if let Some(of) = object_as::<Cycler>(value) {
            return match &**name {
                "next" => Some(Ok(of.next())),
                "reset" => {
                    of.reset();
                    Some(Ok(Py::None))
                }
                _ => None,
            };
        }
        if !self.has_method(value, name) {
            // A date in a URL is text after an insert, and templates that treat it so must work.
            let is_date = self.kind == DictKind::Document && matches!(value, Py::Date(_) | Py::DateTime(_));
            return (is_date && crate::python::text::has(name))
                .then(|| methods::call(&Py::str(value.to_text()), name, args));
        }
        // To append is the same work for every length; nothing else is.
        if &**name != "append"
            && let Err(message) = args.given.iter().chain([value]).try_for_each(|value| self.pay_for(value))
        {
            return Some(Err(message));
        }
        if let Some(changed) = change::call(value, name, args) {
            return Some(changed);
        }
        let called = match value {
            Py::Dict(DictKind::Document, entries) => {
                let before = self.names.before.as_ref().filter(|_| entries.is(&self.names.doc));
                document::call(entries, before, name, args).map(|made| match &made {
                    // What the document gives is a document's, but for a dictionary of it.
                    _ if &**name == "as_dict" => made,
                    Py::Str(_) | Py::List(_) => self.of_document(&made),
                    _ => made,
                })
            }
            _ => match methods::call(value, name, args) {
                Err(_) if matches!(value, Py::Date(_) | Py::DateTime(_)) && self.kind == DictKind::Document => {
                    methods::call(&Py::str(value.to_text()), name, args)
                }
                made => made,
            },
        };
        Some(called)
    }

    fn of_document(&self, value: &Py) -> Py {
        match value {
            Py::Str(text) => crate::python::dates::written(text).unwrap_or_else(|| value.clone()),
            Py::List(rows) => Py::list(rows.get().iter().map(|row| match row {
                Py::Dict(_, entries) => Py::Dict(DictKind::Document, entries.clone()),
                other => other.clone(),
            })),
            other => other.clone(),
        }
    }

    /// Calls a value.
    fn call(&mut self, part: &Expr, value: &Py, args: &Args, caller: Option<Py>) -> Result<Py> {
        if let Some(of) = object_as::<Macro>(value) {
            return self.call_macro(part, of, args, caller);
        }
        if let Some(of) = object_as::<Loop>(value)
            && let Some(again) = of.again.clone()
        {
            let mut text = String::new();
            let items = args.given.first().cloned().unwrap_or(Py::None);
            let level = of.level + 1;
            self.deeper(&part.at, |run| run.each(&again, &items, level, &mut text))?;
            return Ok(Py::str(text));
        }
        if let Some(of) = object_as::<Method>(value) {
            let made = self.method(&of.value, &of.name, args);
            return made
                .unwrap_or_else(|| Err("there is no such method".into()))
                .map_err(|message| fault(message, &part.at));
        }
        let made = if let Some(of) = object_as::<Joiner>(value) {
            Ok(of.call())
        } else if let Some(of) = object_as::<Function>(value) {
            self.function(of, args)
        } else if let Py::Missing(missing) = value {
            Err(missing.error())
        } else {
            Err(format!("'{}' object is not callable", value.type_name()))
        };
        made.map_err(|message| fault(message, &part.at))
    }

    fn function(&mut self, function: &Function, args: &Args) -> Made {
        let now = self.names.event.now;
        for value in args.given.iter().chain(args.named.iter().map(|(_, value)| value)) {
            let mut left = WEIGHT_MAX;
            value.weigh(&mut left)?;
            self.pay((WEIGHT_MAX - left) / 8)?;
        }
        match (function.of, function.name) {
            (Of::Builtins, name) => builtins::call(name, args),
            (Of::Utils, name) => utils::call(name, args, now),
            (Of::Json, "loads") => utils::call("parse_json", args, now).map(|value| match value {
                // Those of `json` are Python's own.
                Py::Dict(_, entries) => Py::Dict(DictKind::Plain, entries),
                other => other,
            }),
            (Of::Json, _) => dumps(args.need(0, "obj")?, &Layout::one_line().with(args, None)?).map(Py::str),
            (Of::Jinja, "range") => builtins::call("range", args),
            (Of::Jinja, "namespace") => {
                let made = builtins::call("dict", args)?;
                let Py::Dict(_, entries) = made else { return Err("namespace takes names".into()) };
                Ok(Py::object(Namespace(entries)))
            }
            (Of::Jinja, "joiner") => {
                let separator = args.given.first().or_else(|| args.named("sep")).cloned();
                let separator = separator.unwrap_or_else(|| Py::str(", "));
                Ok(Py::object(Joiner { separator, used: AtomicBool::new(false) }))
            }
            (Of::Jinja, "cycler") if !args.given.is_empty() => {
                Ok(Py::object(Cycler { items: args.given.clone(), place: AtomicUsize::new(0) }))
            }
            (Of::Jinja, name) => Err(format!("{name} is not offered like this")),
            (Of::Frappe, "_") => args.need(0, "msg").cloned(),
            (Of::Frappe, "_dict") => Ok(builtins::call("dict", args)?.in_frappe()),
            (Of::Frappe, "bold") => {
                Ok(Py::str(format!("<strong>{}</strong>", builtins::text(args.need(0, "text")?, false)?)))
            }
            (Of::Frappe, "format_date") => utils::call("global_date_format", args, now),
            (Of::Frappe, name) => utils::call(name, args, now),
        }
    }

    fn call_macro(&mut self, part: &Expr, called: &Macro, args: &Args, caller: Option<Py>) -> Result<Py> {
        let definition = called.definition.clone();
        let around: Option<Vec<_>> = called.around.iter().map(std::sync::Weak::upgrade).collect();
        let around = around.ok_or_else(|| fault("the macro's block has ended", &part.at))?;
        let mut scope: HashMap<Arc<str>, Py> = HashMap::new();
        let is_parameter = |name: &str| definition.parameters.iter().any(|(known, _)| **known == *name);
        let count = definition.parameters.len();
        for ((name, _), value) in definition.parameters.iter().zip(&args.given) {
            scope.insert(name.clone(), value.clone());
        }
        let mut others = crate::python::Dict::new();
        for (name, value) in &args.named {
            if is_parameter(name) {
                scope.insert(name.as_str().into(), value.clone());
            } else if name != "caller" {
                others.insert(Key::text(name.as_str()), value.clone());
            }
        }
        let more = args.given.get(count.min(args.given.len())..).unwrap_or_default();
        scope.insert("varargs".into(), Py::tuple(more.iter().cloned()));
        scope.insert("kwargs".into(), Py::Dict(DictKind::Plain, Shared::new(others)));
        if let Some(caller) = caller.or_else(|| args.named("caller").cloned()) {
            scope.insert("caller".into(), caller);
        }
        let outside = std::mem::replace(&mut self.scopes, around);
        self.scopes.push(Arc::new(Mutex::new(scope)));
        let filled = self.deeper(&part.at, |run| {
            for (name, default) in &definition.parameters {
                let is_given = run.scopes.last().is_some_and(|scope| {
                    scope.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(name)
                });
                if !is_given {
                    let value = match default {
                        Some(default) => run.value(default)?,
                        None => Py::Missing(Arc::new(crate::python::Missing::Hint(format!(
                            "parameter '{name}' was not provided"
                        )))),
                    };
                    run.set(name, value);
                }
            }
            let mut text = String::new();
            run.body(&definition.body, &mut text)?;
            Ok(text)
        });
        self.scopes = outside;
        filled.map(Py::str)
    }
}

/// Tells whether a value can be called.
pub(in super::super) fn is_callable(value: &Py) -> bool {
    object_as::<Function>(value).is_some()
        || object_as::<Method>(value).is_some()
        || object_as::<Macro>(value).is_some()
        || object_as::<Joiner>(value).is_some()
}
