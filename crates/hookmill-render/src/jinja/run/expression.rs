//! Expressions.

use std::sync::Arc;

use super::super::ast::{Expr, Kind, Relation};
use super::super::objects::{Method, Module};
use super::super::{filters, names, tests};
use super::{Result, Run, fault, object_as};
use crate::python::ops::{self, Binary};
use crate::python::{Dict, DictKind, Key, Missing, Py, Shared, WEIGHT_MAX, change, dates, document, methods};

impl Run {
    /// Returns the value of an expression.
    pub(in super::super) fn value(&mut self, part: &Expr) -> Result<Py> {
        self.step(&part.at)?;
        let value = self.deeper(&part.at, |run| run.computed(part))?;
        self.made(value).map_err(|message| fault(message, &part.at))
    }

    fn computed(&mut self, part: &Expr) -> Result<Py> {
        match &part.kind {
            Kind::Const(value) => Ok(value.clone()),
            Kind::Name(name) => Ok(self.found(name)),
            Kind::List(items) => self.values(items).map(Py::list),
            Kind::Tuple(items) => self.values(items).map(Py::tuple),
            Kind::Dict(entries) => self.dictionary(entries),
            Kind::Or(left, right) => {
                let left = self.value(left)?;
                if left.is_true() { Ok(left) } else { self.value(right) }
            }
            Kind::And(left, right) => {
                let left = self.value(left)?;
                if left.is_true() { self.value(right) } else { Ok(left) }
            }
            Kind::Not(operand) => Ok(Py::Bool(!self.value(operand)?.is_true())),
            Kind::Neg(operand) | Kind::Pos(operand) => self.signed(part, operand),
            Kind::Binary(operator, left, right) => self.binary(part, *operator, left, right),
            Kind::Concat(parts) => self.concatenated(part, parts),
            Kind::Compare(first, others) => self.compared(first, others),
            Kind::If(value, test, otherwise) => match (self.value(test)?.is_true(), otherwise) {
                (true, _) => self.value(value),
                (false, Some(otherwise)) => self.value(otherwise),
                (false, None) => Ok(Py::Missing(Arc::new(Missing::Nothing))),
            },
            Kind::Attribute(base, name) => {
                let base = self.value(base)?;
                self.attribute(&base, name).map_err(|message| fault(message, &part.at))
            }
            Kind::Item(base, index) => {
                let (base, index) = (self.value(base)?, self.value(index)?);
                if matches!(base, Py::Str(_) | Py::Object(_)) {
                    self.pay_for(&base).map_err(|message| fault(message, &part.at))?;
                }
                self.item(&base, &index).map_err(|message| fault(message, &part.at))
            }
            Kind::Slice(base, bounds) => self.slice(part, base, bounds),
            Kind::Call(called, arguments) => self.called(part, called, arguments, None),
            Kind::Filter(..) => self.filtered(part, None),
            Kind::Test(value, name, arguments) => {
                let value = self.value(value)?;
                let args = self.arguments(arguments)?;
                tests::holds(name, &value, &args.given).map(Py::Bool).map_err(|message| fault(message, &part.at))
            }
        }
    }

    pub(super) fn values(&mut self, parts: &[Expr]) -> Result<Vec<Py>> {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            values.push(self.value(part)?);
        }
        Ok(values)
    }

    fn dictionary(&mut self, parts: &[(Expr, Expr)]) -> Result<Py> {
        let mut entries = Dict::new();
        for (key, value) in parts {
            let found = self.value(key)?;
            let made = Key::of(&found).map_err(|message| fault(message, &key.at))?;
            entries.insert(made, self.value(value)?);
        }
        Ok(Py::Dict(DictKind::Plain, Shared::new(entries)))
    }

    fn signed(&mut self, part: &Expr, operand: &Expr) -> Result<Py> {
        let value = self.value(operand)?;
        let (sign, factor) = if matches!(part.kind, Kind::Neg(_)) { ("-", -1) } else { ("+", 1) };
        let signed = match &value {
            Py::Float(number) => Ok(Py::Float(if factor < 0 { -number } else { *number })),
            Py::Missing(missing) => Err(missing.error()),
            _ => ops::integer(&value)
                .and_then(|whole| whole.checked_mul(factor))
                .map(Py::Int)
                .ok_or_else(|| format!("bad operand type for unary {sign}: '{}'", value.type_name())),
        };
        signed.map_err(|message| fault(message, &part.at))
    }

    fn binary(&mut self, part: &Expr, operator: Binary, left: &Expr, right: &Expr) -> Result<Py> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        ops::binary(operator, &left, &right)
            .map_err(|message| fault(format!("{message}: {} and {}", shown(&left), shown(&right)), &part.at))
    }

    fn concatenated(&mut self, part: &Expr, parts: &[Expr]) -> Result<Py> {
        let mut out = String::new();
        for value in self.values(parts)? {
            out.push_str(&self.text(&value).map_err(|message| fault(message, &part.at))?);
        }
        Ok(Py::str(out))
    }

    fn compared(&mut self, first: &Expr, others: &[(Relation, Expr)]) -> Result<Py> {
        let mut left = self.value(first)?;
        for (relation, other) in others {
            let right = self.value(other)?;
            let at = first.at.start..other.at.end;
            if !self.related(*relation, &left, &right).map_err(|message| fault(message, &at))? {
                return Ok(Py::Bool(false));
            }
            left = right;
        }
        Ok(Py::Bool(true))
    }

    /// Compares two values, at the price of going through both.
    fn related(&mut self, relation: Relation, left: &Py, right: &Py) -> std::result::Result<bool, String> {
        let mut left_over = WEIGHT_MAX;
        left.weigh(&mut left_over)?;
        right.weigh(&mut left_over)?;
        self.pay((WEIGHT_MAX - left_over) / 8)?;
        related(relation, left, right)
    }

    fn slice(&mut self, part: &Expr, base: &Expr, bounds: &[Option<Box<Expr>>; 3]) -> Result<Py> {
        let base = self.value(base)?;
        self.pay_for(&base).map_err(|message| fault(message, &part.at))?;
        let mut numbers = [None; 3];
        for (number, bound) in numbers.iter_mut().zip(bounds) {
            let Some(bound) = bound else { continue };
            let value = self.value(bound)?;
            if !matches!(value, Py::None) {
                let whole = ops::integer(&value);
                *number = Some(whole.ok_or_else(|| fault("slice indices must be integers or None", &bound.at))?);
            }
        }
        let [from, to, step] = numbers;
        if let Py::Missing(missing) = &base {
            return Err(fault(missing.error(), &part.at));
        }
        methods::slice(&base, from, to, step.unwrap_or(1)).map_err(|message| fault(message, &part.at))
    }

    /// Applies a filter, or several in a row; `text` is what a block of them is for.
    pub(super) fn filtered(&mut self, part: &Expr, text: Option<Py>) -> Result<Py> {
        let Kind::Filter(of, name, arguments) = &part.kind else { return self.value(part) };
        if matches!(&**name, "e" | "escape") && of.as_deref().is_some_and(filters::is_safe) {
            // What is safe is not escaped again.
            return self.filtered(of.as_deref().unwrap_or(part), text);
        }
        let value = match (of, text) {
            (Some(of), text @ Some(_)) => self.filtered(of, text)?,
            (Some(of), None) => self.value(of)?,
            (None, text) => text.unwrap_or(Py::None),
        };
        let args = self.arguments(arguments)?;
        filters::apply(self, name, &value, &args).map_err(|message| fault(message, &part.at))
    }

    /// Returns `value.name`.
    pub(in super::super) fn attribute(&self, value: &Py, name: &Arc<str>) -> std::result::Result<Py, String> {
        if let Py::Missing(missing) = value {
            return Err(missing.error());
        }
        if name.starts_with('_') {
            let of = value.type_name();
            return Ok(Missing::hint(format!("access to attribute '{name}' of '{of}' object is unsafe.")));
        }
        Ok(self.known(value, name).unwrap_or_else(|| match value {
            Py::Dict(DictKind::Frappe, _) => Py::None,
            _ => Missing::element(value, &Py::Str(name.clone())),
        }))
    }

    /// Returns an attribute, if there is one. A field of the document stands before the method of its name.
    fn known(&self, value: &Py, name: &Arc<str>) -> Option<Py> {
        if let Some(Module(module)) = object_as(value) {
            return names::member(module, name, &self.names);
        }
        let found = match value {
            Py::Dict(kind, entries) => entries.get().get(&**name).map(|value| self.field(*kind, value)),
            other => methods::attribute(other, name),
        };
        found.or_else(|| self.has_method(value, name).then(|| self.bound(value, name)))
    }

    fn bound(&self, value: &Py, name: &Arc<str>) -> Py {
        Py::object(Method { value: value.clone(), name: name.clone() })
    }

    pub(super) fn has_method(&self, value: &Py, name: &str) -> bool {
        let of_document = matches!(value, Py::Dict(DictKind::Document, _)) && document::has(name);
        let of_date = matches!(value, Py::Date(_) | Py::DateTime(_) | Py::Time(_) | Py::Delta(_))
            && matches!(
                name,
                "strftime"
                    | "isoformat"
                    | "weekday"
                    | "isoweekday"
                    | "date"
                    | "time"
                    | "timestamp"
                    | "replace"
                    | "toordinal"
                    | "isocalendar"
                    | "ctime"
                    | "total_seconds"
            );
        of_document || of_date || methods::has(value, name) || change::has(value, name)
    }

    /// Returns a field's value: of a document, dates are dates and rows are documents.
    fn field(&self, kind: DictKind, value: &Py) -> Py {
        if kind != DictKind::Document {
            return value.clone();
        }
        match value {
            Py::Str(text) => dates::written(text).unwrap_or_else(|| value.clone()),
            Py::List(items) => Py::list(items.get().iter().map(|item| self.field(kind, item))),
            Py::Dict(_, entries) => Py::Dict(DictKind::Document, entries.clone()),
            other => other.clone(),
        }
    }

    /// Returns `value[index]`.
    pub(in super::super) fn item(&self, value: &Py, index: &Py) -> std::result::Result<Py, String> {
        if let Py::Missing(missing) = value {
            return Err(missing.error());
        }
        if let Py::Dict(kind, _) = value {
            if let Ok(found) = methods::item(value, index) {
                return Ok(self.field(*kind, &found));
            }
        } else if let Ok(found) = methods::item(value, index) {
            return Ok(found);
        }
        match index {
            Py::Str(name) => self.attribute(value, name),
            _ => Ok(Missing::element(value, index)),
        }
    }
}

/// Compares as Python does.
fn related(relation: Relation, left: &Py, right: &Py) -> std::result::Result<bool, String> {
    let ordered = |sign: &str, fits: fn(std::cmp::Ordering) -> bool| {
        for value in [left, right] {
            if let Py::Missing(missing) = value {
                return Err(missing.error());
            }
        }
        // Here a date and its text are not of one kind.
        let is_text = |value: &Py| matches!(value, Py::Str(_));
        match ops::compare(left, right).filter(|_| is_text(left) == is_text(right)) {
            Some(ordering) => Ok(fits(ordering)),
            None if ops::number(left).is_some() && ops::number(right).is_some() => Ok(false),
            None => {
                let (a, b) = (left.type_name(), right.type_name());
                let values = format!("{} {sign} {}", shown(left), shown(right));
                Err(format!("'{sign}' not supported between instances of '{a}' and '{b}': {values}"))
            }
        }
    };
    match relation {
        Relation::Equal => Ok(ops::equal(left, right)),
        Relation::NotEqual => Ok(!ops::equal(left, right)),
        Relation::Less => ordered("<", std::cmp::Ordering::is_lt),
        Relation::LessOrEqual => ordered("<=", std::cmp::Ordering::is_le),
        Relation::Greater => ordered(">", std::cmp::Ordering::is_gt),
        Relation::GreaterOrEqual => ordered(">=", std::cmp::Ordering::is_ge),
        Relation::In => ops::contains(right, left),
        Relation::NotIn => ops::contains(right, left).map(|found| !found),
    }
}

/// Returns a value as a message shows it.
pub(in super::super) fn shown(value: &Py) -> String {
    let text = value.repr();
    if text.chars().count() > 40 { text.chars().take(40).chain(['…']).collect() } else { text }
}
