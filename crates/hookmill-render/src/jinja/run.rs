//! Fills a template, step by step and within bounds.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::ast::{Body, Expr, For, Statement, Target};
use super::objects::{Loop, Macro, Namespace, Scope};
use super::{filters, names, objects};
use crate::frappe::Names;
use crate::python::{DictKind, Key, Missing, Object, Py, builtins};

mod call;
mod expression;

pub(super) use call::is_callable;

/// Steps that one filling may take; a child table of a thousand rows takes some ten thousand.
const STEPS_MAX: u32 = 400_000;

/// Bytes that all values and texts together may take.
const BYTES_MAX: usize = 32 << 20;

/// Levels of blocks, expressions and calls inside of each other. Each takes from the stack of the thread that renders.
const LEVELS_MAX: usize = 300;

/// What went wrong, and where in the source.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) at: Range<usize>,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// One filling of a template.
pub(super) struct Run {
    /// A copy of its own, which is taken apart in the end.
    pub(super) names: Names,
    /// What `doc` is: a dictionary or a document.
    pub(super) kind: DictKind,
    scopes: Vec<Scope>,
    steps_left: u32,
    bytes_left: usize,
    level: usize,
    escapes: bool,
    /// How often something was drawn by chance.
    pub(super) drawn: u64,
    /// Every list and dictionary that was met, so that those that hold themselves can be emptied in the end.
    met: Vec<Py>,
}

impl Drop for Run {
    /// Takes apart what was built: what holds itself would stay for ever, and what is nested deep would take the stack to
    /// drop at once.
    fn drop(&mut self) {
        for value in &self.met {
            match value {
                Py::List(items) => items.change(Vec::clear),
                Py::Dict(_, entries) => entries.change(|entries| entries.clear()),
                Py::Object(object) => {
                    if let Some(namespace) = (&**object as &dyn std::any::Any).downcast_ref::<Namespace>() {
                        namespace.0.change(|entries| entries.clear());
                    }
                }
                _ => {}
            }
        }
        self.scopes.clear();
        // The last to be made holds those before it.
        while self.met.pop().is_some() {}
    }
}

impl Run {
    pub(super) fn new(names: &Names, kind: DictKind) -> Self {
        Self {
            names: names.copied(),
            kind,
            scopes: vec![Scope::default()],
            steps_left: STEPS_MAX,
            bytes_left: BYTES_MAX,
            level: 0,
            escapes: false,
            drawn: 0,
            met: Vec::new(),
        }
    }

    /// Fills the whole template.
    pub(super) fn whole(&mut self, body: &Body) -> Result<String> {
        let mut out = String::new();
        self.body(body, &mut out)?;
        Ok(out)
    }

    fn step(&mut self, at: &Range<usize>) -> Result<()> {
        let left = self.steps_left.checked_sub(1);
        self.steps_left = left.ok_or_else(|| fault(format!("the template takes more than {STEPS_MAX} steps"), at))?;
        Ok(())
    }

    /// Pays for so many steps that are taken out of sight.
    pub(super) fn pay(&mut self, steps: usize) -> std::result::Result<(), String> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.steps_left.checked_sub(steps));
        self.steps_left = left.ok_or_else(|| format!("the template takes more than {STEPS_MAX} steps"))?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: usize) -> std::result::Result<(), String> {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or_else(|| format!("the template makes more than {BYTES_MAX} bytes"))?;
        Ok(())
    }

    /// Keeps account of a value that was made; one that was there before costs nothing.
    pub(super) fn made(&mut self, value: Py) -> std::result::Result<Py, String> {
        if !value.is_new() {
            return Ok(value);
        }
        self.take_bytes(value.size())?;
        if matches!(value, Py::List(_) | Py::Tuple(_) | Py::Set(_) | Py::Dict(..) | Py::Object(_)) {
            self.met.push(value.clone());
        }
        Ok(value)
    }

    /// Pays for going through a value once, its own items or characters alone.
    pub(super) fn pay_for(&mut self, value: &Py) -> std::result::Result<(), String> {
        self.pay(match value {
            Py::Str(text) => text.len() / 64,
            Py::List(_) | Py::Tuple(_) | Py::Set(_) | Py::Object(_) => builtins::length(value).unwrap_or(0) / 8,
            _ => 0,
        })
    }

    fn deeper<T>(&mut self, at: &Range<usize>, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.level >= LEVELS_MAX {
            return Err(fault(format!("blocks and calls are nested more than {LEVELS_MAX} deep"), at));
        }
        self.level += 1;
        let result = run(self);
        self.level -= 1;
        result
    }

    pub(super) fn body(&mut self, body: &Body, out: &mut String) -> Result<()> {
        for statement in body {
            self.statement(statement, out)?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str, at: &Range<usize>, out: &mut String) -> Result<()> {
        self.take_bytes(text.len()).map_err(|message| fault(message, at))?;
        out.push_str(text);
        Ok(())
    }

    fn statement(&mut self, statement: &Statement, out: &mut String) -> Result<()> {
        match statement {
            Statement::Text(text) => self.write(text, &(0..0), out),
            Statement::Print(printed) => {
                let value = self.value(printed)?;
                let text = self.text(&value).map_err(|message| fault(message, &printed.at))?;
                let text = if self.escapes && !filters::is_safe(printed) { filters::escaped(&text) } else { text };
                self.write(&text, &printed.at, out)
            }
            Statement::For(each) => {
                let items = self.value(&each.iter)?;
                self.each(each, &items, 0, out)
            }
            Statement::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.value(test)?.is_true() {
                        return self.deeper(&test.at, |run| run.body(body, out));
                    }
                }
                let at = branches.first().map_or(0..0, |(test, _)| test.at.clone());
                self.deeper(&at, |run| run.body(otherwise, out))
            }
            Statement::Set(target, value) => {
                let made = self.value(value)?;
                self.assign(target, made).map_err(|message| fault(message, &value.at))
            }
            Statement::SetBlock(target, filter, body) => {
                let text = Py::str(self.captured(body)?);
                let at = filter.as_ref().map_or(0..0, |filter| filter.at.clone());
                let value = match filter {
                    Some(filter) => self.filtered(filter, Some(text))?,
                    None => text,
                };
                self.assign(target, value).map_err(|message| fault(message, &at))
            }
            Statement::With(values, body) => self.with(values, body, out),
            Statement::Macro(definition) => {
                let made = Macro { definition: definition.clone(), around: self.around() };
                self.set(&definition.name, Py::object(made));
                Ok(())
            }
            Statement::CallBlock(call, definition) => {
                let caller = Py::object(Macro { definition: definition.clone(), around: self.around() });
                let value = self.called_with(call, caller)?;
                let text = self.text(&value).map_err(|message| fault(message, &call.at))?;
                self.write(&text, &call.at, out)
            }
            Statement::FilterBlock(filter, body) => {
                let text = Py::str(self.captured(body)?);
                let value = self.filtered(filter, Some(text))?;
                let text = self.text(&value).map_err(|message| fault(message, &filter.at))?;
                self.write(&text, &filter.at, out)
            }
            Statement::Block(body) => self.inner(HashMap::new(), |run| run.body(body, out)),
            Statement::Autoescape(on, body) => {
                let before = self.escapes;
                self.escapes = self.value(on)?.is_true();
                let result = self.inner(HashMap::new(), |run| run.body(body, out));
                self.escapes = before;
                result
            }
        }
    }

    fn with(&mut self, values: &[(Target, Expr)], body: &Body, out: &mut String) -> Result<()> {
        let mut set = Vec::with_capacity(values.len());
        for (target, value) in values {
            set.push((target, self.value(value)?, &value.at));
        }
        self.inner(HashMap::new(), |run| {
            for (target, value, at) in set {
                run.assign(target, value).map_err(|message| fault(message, at))?;
            }
            run.body(body, out)
        })
    }

    fn captured(&mut self, body: &Body) -> Result<String> {
        let mut text = String::new();
        self.inner(HashMap::new(), |run| run.body(body, &mut text))?;
        Ok(text)
    }

    /// Runs in a scope of its own.
    fn inner<T>(&mut self, scope: HashMap<Arc<str>, Py>, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scopes.push(Arc::new(Mutex::new(scope)));
        let result = self.deeper(&(0..0), run);
        self.scopes.pop();
        result
    }

    fn around(&self) -> Vec<Weak<Mutex<objects::Names>>> {
        self.scopes.iter().map(Arc::downgrade).collect()
    }

    /// Goes through a loop.
    pub(super) fn each(&mut self, each: &Arc<For>, items: &Py, level: usize, out: &mut String) -> Result<()> {
        let at = &each.iter.at;
        let wrong = |message| fault(message, at);
        let mut items = items.iterate().map_err(wrong)?;
        self.take_bytes(16 * items.len()).map_err(wrong)?;
        if let Some(test) = &each.test {
            let mut kept = Vec::new();
            for item in items {
                let fits = self.inner(HashMap::new(), |run| {
                    run.assign(&each.target, item.clone()).map_err(wrong)?;
                    Ok(run.value(test)?.is_true())
                })?;
                kept.extend(fits.then_some(item));
            }
            items = kept;
        }
        if items.is_empty() {
            return self.inner(HashMap::new(), |run| run.body(&each.otherwise, out));
        }
        let items = Arc::new(items);
        let changed = Arc::new(Mutex::new(None));
        for (place, item) in items.iter().enumerate() {
            self.step(at)?;
            let again = each.recursive.then(|| each.clone());
            let (items, changed) = (items.clone(), changed.clone());
            let about = Py::object(Loop { place, items, level, changed, again });
            self.inner(HashMap::from([(Arc::from("loop"), about)]), |run| {
                run.assign(&each.target, item.clone()).map_err(wrong)?;
                run.body(&each.body, out)
            })?;
        }
        Ok(())
    }

    fn set(&mut self, name: &Arc<str>, value: Py) {
        if let Some(scope) = self.scopes.last() {
            scope.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), value);
        }
    }

    fn assign(&mut self, target: &Target, value: Py) -> std::result::Result<(), String> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Several(targets) => {
                let items = value.iterate()?;
                if items.len() != targets.len() {
                    let (few, many) = (items.len(), targets.len());
                    let what = if few < many { "not enough" } else { "too many" };
                    return Err(format!("{what} values to unpack (expected {many}, got {few})"));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
            Target::Attribute(name, attribute) => match self.found(name) {
                Py::Object(object) => {
                    let namespace = (&*object as &dyn std::any::Any).downcast_ref::<Namespace>();
                    let namespace = namespace.ok_or("cannot assign attribute on non-namespace object")?;
                    namespace.0.change(|entries| entries.insert(Key::text(attribute.clone()), value));
                }
                _ => return Err("cannot assign attribute on non-namespace object".into()),
            },
        }
        Ok(())
    }

    /// Returns what a name stands for.
    fn found(&self, name: &Arc<str>) -> Py {
        for scope in self.scopes.iter().rev() {
            if let Some(value) = scope.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
                return value.clone();
            }
        }
        let missing = || Py::Missing(Arc::new(Missing::Name(name.to_string())));
        names::global(name, &self.names, self.kind).unwrap_or_else(missing)
    }

    /// Returns what printing a value gives.
    pub(super) fn text(&mut self, value: &Py) -> std::result::Result<String, String> {
        builtins::text(value, false)
    }
}

pub(super) fn fault(message: impl Into<String>, at: &Range<usize>) -> Fault {
    Fault { message: message.into(), at: at.clone() }
}

/// Returns an object as what it is, if it is that.
pub(super) fn object_as<T: Object>(value: &Py) -> Option<&T> {
    match value {
        Py::Object(object) => (&**object as &dyn std::any::Any).downcast_ref(),
        _ => None,
    }
}
