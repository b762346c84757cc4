//! Runs a condition, step by step and within bounds.

use std::sync::Arc;

use ruff_python_ast::{
    BoolOp, CmpOp, Comprehension, ConversionFlag, Expr, ExprCall, ExprCompare, FStringPart, InterpolatedStringElement,
    Number, Operator, UnaryOp,
};

use super::Fault;
use super::check::module_of;
use crate::frappe::Names;
use crate::python::ops::{self, Binary};
use crate::python::{Args, Dict, DictKind, Key, Py, WEIGHT_MAX, builtins, dates, document, format, methods, utils};

/// Parts that may be evaluated; a child table of a thousand rows takes some ten thousand.
const STEPS_MAX: u32 = 200_000;

/// Bytes that all values together may take.
const BYTES_MAX: usize = 16 << 20;

type Result<T> = std::result::Result<T, Fault>;

/// One evaluation.
pub(super) struct Run<'a> {
    names: &'a Names,
    /// What comprehensions have bound, the innermost last.
    bound: Vec<(String, Py)>,
    steps_left: u32,
    bytes_left: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(names: &'a Names) -> Self {
        Self { names, bound: Vec::new(), steps_left: STEPS_MAX, bytes_left: BYTES_MAX }
    }

    pub(super) fn value(&mut self, part: &Expr) -> Result<Py> {
        self.steps_left = self
            .steps_left
            .checked_sub(1)
            .ok_or_else(|| Fault::new(format!("the condition takes more than {STEPS_MAX} steps"), part))?;
        let value = self.computed(part)?;
        let bytes = self.bytes_left.checked_sub(value.size());
        self.bytes_left = bytes.ok_or_else(|| Fault::new("the condition needs too much memory", part))?;
        Ok(value)
    }

    fn computed(&mut self, part: &Expr) -> Result<Py> {
        match part {
            Expr::NoneLiteral(_) => Ok(Py::None),
            Expr::BooleanLiteral(literal) => Ok(Py::Bool(literal.value)),
            Expr::StringLiteral(literal) => Ok(Py::str(literal.value.to_str())),
            Expr::NumberLiteral(literal) => number(&literal.value).map_err(|message| Fault::new(message, part)),
            Expr::Name(name) => self.named(name.id.as_str(), part),
            Expr::List(list) => Ok(Py::list(self.values(&list.elts)?)),
            Expr::Tuple(tuple) => Ok(Py::Tuple(Arc::new(self.values(&tuple.elts)?))),
            Expr::Set(set) => Ok(Py::Set(Arc::new(builtins::unique(self.values(&set.elts)?)))),
            Expr::Dict(dict) => {
                let mut entries = Dict::new();
                for item in &dict.items {
                    let key = item.key.as_ref().ok_or_else(|| Fault::new("** is not offered", part))?;
                    entries.insert(self.key(key)?, self.value(&item.value)?);
                }
                Ok(Py::dict(entries))
            }
            Expr::BoolOp(operation) => {
                let mut value = Py::None;
                for operand in &operation.values {
                    value = self.value(operand)?;
                    if value.is_true() == (operation.op == BoolOp::Or) {
                        break;
                    }
                }
                Ok(value)
            }
            Expr::UnaryOp(operation) => {
                let operand = self.value(&operation.operand)?;
                unary(operation.op, &operand).map_err(|message| Fault::new(message, part))
            }
            Expr::BinOp(operation) => {
                let (left, right) = (self.value(&operation.left)?, self.value(&operation.right)?);
                let operator = binary(operation.op).ok_or_else(|| Fault::new("this operator is not offered", part))?;
                ops::binary(operator, &left, &right).map_err(|message| Fault::new(message, part))
            }
            Expr::Compare(comparison) => self.compared(comparison, part),
            Expr::If(choice) => {
                let taken = if self.value(&choice.test)?.is_true() { &choice.body } else { &choice.orelse };
                self.value(taken)
            }
            Expr::Attribute(attribute) => self.attribute(&attribute.value, attribute.attr.as_str(), part),
            Expr::Subscript(subscript) => self.subscript(&subscript.value, &subscript.slice, part),
            Expr::Call(call) => self.call(call, part),
            Expr::FString(text) => self.formatted(text.value.iter(), part),
            Expr::ListComp(list) => self.comprehension(&list.generators, &list.elt),
            Expr::Generator(generator) => self.comprehension(&generator.generators, &generator.elt),
            Expr::SetComp(set) => {
                let items = self.comprehension(&set.generators, &set.elt)?.iterate();
                items
                    .map(|items| Py::Set(Arc::new(builtins::unique(items))))
                    .map_err(|message| Fault::new(message, part))
            }
            Expr::DictComp(dict) => {
                let mut entries = Dict::new();
                let key = dict.key.as_ref().ok_or_else(|| Fault::new("** is not offered", part))?;
                self.each(&dict.generators, &mut |run| {
                    entries.insert(run.key(key)?, run.value(&dict.value)?);
                    Ok(())
                })?;
                Ok(Py::dict(entries))
            }
            _ => Err(Fault::new("this is not offered in a condition", part)),
        }
    }

    fn values(&mut self, parts: &[Expr]) -> Result<Vec<Py>> {
        parts.iter().map(|part| self.value(part)).collect()
    }

    fn key(&mut self, part: &Expr) -> Result<Key> {
        let value = self.value(part)?;
        Key::of(&value).map_err(|message| Fault::new(message, part))
    }

    fn named(&self, name: &str, part: &Expr) -> Result<Py> {
        if let Some((_, value)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return Ok(value.clone());
        }
        let text = |text: &Option<String>| text.as_ref().map_or(Py::None, Py::str);
        match name {
            "doc" => Ok(Py::Dict(DictKind::Frappe, self.names.doc.clone())),
            "before" => Ok(self.names.before.clone().map_or(Py::None, |before| Py::Dict(DictKind::Frappe, before))),
            "doctype" => Ok(Py::str(&self.names.event.doctype)),
            "event_id" => Ok(Py::str(&self.names.event.id)),
            "doc_event" => Ok(Py::str(&self.names.event.doc_event)),
            "user" => Ok(text(&self.names.event.user)),
            _ => Err(Fault::new(format!("'{name}' is a function; call it"), part)),
        }
    }

    fn attribute(&mut self, base: &Expr, name: &str, part: &Expr) -> Result<Py> {
        // The one thing of the session that an event carries.
        if let (Expr::Attribute(session), "user") = (base, name)
            && module_of(&session.value) == Some("frappe")
        {
            return self.named("user", part);
        }
        if module_of(base).is_some() {
            return Err(Fault::new(format!("'{name}' is a function; call it"), part));
        }
        let value = self.value(base)?;
        let found = match &value {
            Py::Dict(_, entries) => entries.get().get(name).cloned(),
            other => methods::attribute(other, name).or_else(|| methods::attribute(&dates::as_moment(other)?, name)),
        };
        found.ok_or_else(|| {
            let what = match &value {
                Py::Dict(_, entries) if entries.is(&self.names.doc) => self.names.event.doctype.clone(),
                Py::Dict(_, entries) => entries.get().get("doctype").map_or_else(|| "dict".into(), Py::to_text),
                other => other.type_name().into(),
            };
            Fault::new(format!("'{what}' object has no attribute '{name}'"), part)
        })
    }

    fn subscript(&mut self, base: &Expr, index: &Expr, part: &Expr) -> Result<Py> {
        let base = self.value(base)?;
        let taken = match index {
            Expr::Slice(slice) => {
                let mut bound = |bound: &Option<Box<Expr>>| match bound {
                    Some(bound) => {
                        let value = self.value(bound)?;
                        let whole = ops::integer(&value);
                        whole.map(Some).ok_or_else(|| Fault::new("slice indices must be integers", bound))
                    }
                    None => Ok(None),
                };
                let (from, to, step) = (bound(&slice.lower)?, bound(&slice.upper)?, bound(&slice.step)?);
                methods::slice(&base, from, to, step.unwrap_or(1))
            }
            _ => methods::item(&base, &self.value(index)?),
        };
        taken.map_err(|message| Fault::new(message, part))
    }

    fn compared(&mut self, comparison: &ExprCompare, part: &Expr) -> Result<Py> {
        let mut left = self.value(&comparison.left)?;
        for (operator, right) in comparison.ops.iter().zip(&comparison.comparators) {
            let right = self.value(right)?;
            let holds = compare(*operator, &left, &right).map_err(|message| Fault::new(message, part))?;
            if !holds {
                return Ok(Py::Bool(false));
            }
            left = right;
        }
        Ok(Py::Bool(true))
    }

    fn call(&mut self, call: &ExprCall, part: &Expr) -> Result<Py> {
        // The base of a method comes before its arguments, as everything is read from left to right.
        let (base, name) = match &*call.func {
            Expr::Name(name) => (None, name.id.as_str()),
            Expr::Attribute(attribute) if module_of(&attribute.value).is_some() => (None, attribute.attr.as_str()),
            Expr::Attribute(attribute) => (Some(self.value(&attribute.value)?), attribute.attr.as_str()),
            other => return Err(Fault::new("this can't be called", other)),
        };
        let mut args = Args { given: self.values(&call.arguments.args)?, named: vec![] };
        for keyword in &call.arguments.keywords {
            let name = keyword.arg.as_ref().ok_or_else(|| Fault::new("** is not offered", part))?;
            args.named.push((name.to_string(), self.value(&keyword.value)?));
        }
        let called = match base {
            Some(Py::Dict(_, entries)) => {
                let before = self.names.before.as_ref().filter(|_| entries.is(&self.names.doc));
                document::call(&entries, before, name, &args)
            }
            Some(base) => methods::call(&base, name, &args).or_else(|error| {
                let moment = dates::as_moment(&base).ok_or_else(|| error.clone())?;
                methods::call(&moment, name, &args).map_err(|_| error)
            }),
            None if utils::NAMES.contains(&name) => utils::call(name, &args, self.names.event.now),
            None => builtins::call(name, &args),
        };
        called.map_err(|message| Fault::new(message, part))
    }

    fn formatted<'p>(&mut self, parts: impl Iterator<Item = &'p FStringPart>, whole: &Expr) -> Result<Py> {
        let mut out = String::new();
        for part in parts {
            let elements = match part {
                FStringPart::Literal(literal) => {
                    out.push_str(&literal.value);
                    continue;
                }
                FStringPart::FString(text) => &text.elements,
            };
            for element in elements {
                let element = match element {
                    InterpolatedStringElement::Literal(literal) => {
                        out.push_str(&literal.value);
                        continue;
                    }
                    InterpolatedStringElement::Interpolation(element) => element,
                };
                let value = self.value(&element.expression)?;
                let spec = element.format_spec.as_ref().map(|spec| {
                    let literals = spec.elements.iter().filter_map(|element| element.as_literal());
                    literals.map(|literal| &*literal.value).collect::<String>()
                });
                let text = match spec.filter(|spec| !spec.is_empty()) {
                    Some(spec) => format::format_spec(&value, &spec),
                    None => builtins::text(&value, element.conversion == ConversionFlag::Repr),
                };
                out.push_str(&text.map_err(|message| Fault::new(message, whole))?);
            }
        }
        Ok(Py::str(out))
    }

    fn comprehension(&mut self, generators: &[Comprehension], item: &Expr) -> Result<Py> {
        let mut items = Vec::new();
        self.each(generators, &mut |run| {
            items.push(run.value(item)?);
            Ok(())
        })?;
        Ok(Py::list(items))
    }

    /// Calls `visit` for every round of the generators, with their targets bound.
    fn each(&mut self, generators: &[Comprehension], visit: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let Some((first, others)) = generators.split_first() else { return visit(self) };
        let items = self.value(&first.iter)?.iterate().map_err(|message| Fault::new(message, &first.iter))?;
        for item in items {
            let bound = self.bound.len();
            self.bind(&first.target, item)?;
            let mut wanted = true;
            for test in &first.ifs {
                wanted = wanted && self.value(test)?.is_true();
            }
            if wanted {
                self.each(others, visit)?;
            }
            self.bound.truncate(bound);
        }
        Ok(())
    }

    fn bind(&mut self, target: &Expr, value: Py) -> Result<()> {
        let parts = match target {
            Expr::Name(name) => {
                self.bound.push((name.id.to_string(), value));
                return Ok(());
            }
            Expr::Tuple(tuple) => &tuple.elts,
            Expr::List(list) => &list.elts,
            _ => return Err(Fault::new("this can't be bound", target)),
        };
        let items = value.iterate().map_err(|message| Fault::new(message, target))?;
        if items.len() != parts.len() {
            return Err(Fault::new(format!("there are {} values for {} names", items.len(), parts.len()), target));
        }
        parts.iter().zip(items).try_for_each(|(part, item)| self.bind(part, item))
    }
}

fn number(number: &Number) -> std::result::Result<Py, &'static str> {
    match number {
        Number::Int(value) => {
            let text = value.to_string();
            Ok(text.parse().map_or_else(|_| Py::Big(text.as_str().into()), Py::Int))
        }
        Number::Float(value) => Ok(Py::Float(*value)),
        Number::Complex { .. } => Err("complex numbers are not offered"),
    }
}

fn unary(operator: UnaryOp, operand: &Py) -> std::result::Result<Py, String> {
    match (operator, operand) {
        (UnaryOp::Not, _) => Ok(Py::Bool(!operand.is_true())),
        (UnaryOp::USub, Py::Float(value)) => Ok(Py::Float(-value)),
        (UnaryOp::UAdd, Py::Float(value)) => Ok(Py::Float(*value)),
        _ => {
            let sign = match operator {
                UnaryOp::USub => "-",
                UnaryOp::UAdd => "+",
                _ => "~",
            };
            let refused = || format!("bad operand type for unary {sign}: '{}'", operand.type_name());
            let whole = ops::integer(operand).ok_or_else(refused)?;
            let result = match operator {
                UnaryOp::USub => whole.checked_neg(),
                UnaryOp::UAdd => Some(whole),
                _ => Some(!whole),
            };
            result.map(Py::Int).ok_or_else(refused)
        }
    }
}

fn binary(operator: Operator) -> Option<Binary> {
    Some(match operator {
        Operator::Add => Binary::Add,
        Operator::Sub => Binary::Sub,
        Operator::Mult => Binary::Mult,
        Operator::Div => Binary::Div,
        Operator::FloorDiv => Binary::FloorDiv,
        Operator::Mod => Binary::Mod,
        Operator::Pow => Binary::Pow,
        Operator::BitAnd => Binary::BitAnd,
        Operator::BitOr => Binary::BitOr,
        Operator::BitXor => Binary::BitXor,
        Operator::LShift => Binary::Left,
        Operator::RShift => Binary::Right,
        Operator::MatMult => return None,
    })
}

fn compare(operator: CmpOp, left: &Py, right: &Py) -> std::result::Result<bool, String> {
    for value in [left, right] {
        value.weigh(&mut WEIGHT_MAX.clone())?;
    }
    let is = || left.is(right);
    let ordered = |sign: &str, fits: fn(std::cmp::Ordering) -> bool| match ops::compare(left, right) {
        Some(ordering) => Ok(fits(ordering)),
        // Nothing is smaller or larger than what is no number.
        None if ops::number(left).is_some() && ops::number(right).is_some() => Ok(false),
        None => {
            let (a, b) = (left.type_name(), right.type_name());
            let values = format!("{} {sign} {}", shown(left), shown(right));
            Err(format!("'{sign}' not supported between instances of '{a}' and '{b}': {values}"))
        }
    };
    match operator {
        CmpOp::Eq => Ok(ops::equal(left, right)),
        CmpOp::NotEq => Ok(!ops::equal(left, right)),
        CmpOp::Lt => ordered("<", std::cmp::Ordering::is_lt),
        CmpOp::LtE => ordered("<=", std::cmp::Ordering::is_le),
        CmpOp::Gt => ordered(">", std::cmp::Ordering::is_gt),
        CmpOp::GtE => ordered(">=", std::cmp::Ordering::is_ge),
        CmpOp::Is => Ok(is()),
        CmpOp::IsNot => Ok(!is()),
        CmpOp::In => ops::contains(right, left),
        CmpOp::NotIn => ops::contains(right, left).map(|found| !found),
    }
}

/// Returns a value as a message shows it.
fn shown(value: &Py) -> String {
    let text = value.repr();
    if text.chars().count() > 40 { text.chars().take(40).chain(['…']).collect() } else { text }
}
