//! What can be said of a condition without a document.

use std::collections::BTreeSet;

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, ExprContext};

use super::Fault;
use crate::python::{builtins, document, utils};

/// Levels of an expression. Evaluating calls itself for each, on a stack that has an end.
const DEPTH_MAX: usize = 100;

/// Names that are there besides functions.
const NAMES: [&str; 8] = ["doc", "before", "doctype", "doc_event", "event_id", "user", "utils", "frappe"];

/// Returns the first fault of an expression.
pub(super) fn check(expression: &Expr) -> Option<Fault> {
    let mut bound = Bound(BTreeSet::new());
    // The depth comes first: the walk for names goes as deep as the expression does.
    let mut walk = Walk { depth: 0, bound: None, fault: None };
    walk.visit_expr(expression);
    if walk.fault.is_none() {
        bound.visit_expr(expression);
        walk.bound = Some(bound.0);
        walk.visit_expr(expression);
    }
    walk.fault
}

/// The names that comprehensions bind.
struct Bound(BTreeSet<String>);

impl Visitor<'_> for Bound {
    fn visit_expr(&mut self, part: &Expr) {
        if let Expr::Name(name) = part
            && name.ctx == ExprContext::Store
        {
            self.0.insert(name.id.to_string());
        }
        walk_expr(self, part);
    }
}

struct Walk {
    depth: usize,
    /// Names that the expression binds itself; until they are known, only the depth is looked at.
    bound: Option<BTreeSet<String>>,
    fault: Option<Fault>,
}

impl Visitor<'_> for Walk {
    fn visit_expr(&mut self, part: &Expr) {
        if self.fault.is_some() {
            return;
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.fault = Some(Fault::new(format!("the expression is nested more than {DEPTH_MAX} deep"), part));
        } else {
            self.fault = self.bound.as_ref().and_then(|bound| fault_of(part, bound));
            walk_expr(self, part);
        }
        self.depth -= 1;
    }
}

fn is_function(name: &str) -> bool {
    let builtins = builtins::NAMES.into_iter().chain(builtins::MORE);
    builtins.chain(utils::NAMES).any(|known| known == name)
}

fn fault_of(part: &Expr, bound: &BTreeSet<String>) -> Option<Fault> {
    let message = match part {
        Expr::Name(name) => {
            let id = name.id.as_str();
            if name.ctx == ExprContext::Store || bound.contains(id) || NAMES.contains(&id) || is_function(id) {
                return None;
            }
            format!("name '{id}' is not defined")
        }
        Expr::Attribute(attribute) if attribute.attr.starts_with('_') => {
            format!("\"{}\" is an invalid attribute name because it starts with \"_\"", attribute.attr)
        }
        Expr::Attribute(attribute) => {
            let (name, module) = (attribute.attr.as_str(), module_of(&attribute.value)?);
            if module == "utils" && !utils::NAMES.contains(&name) {
                format!("frappe.utils has no function '{name}' that works without a site")
            } else if module == "frappe" && !matches!(name, "utils" | "session") && !utils::NAMES.contains(&name) {
                format!("frappe.{name} asks the site, which is not here")
            } else {
                return None;
            }
        }
        Expr::Call(call) => {
            let Expr::Attribute(attribute) = &*call.func else { return None };
            let is_doc = matches!(&*attribute.value, Expr::Name(name) if name.id.as_str() == "doc");
            if !is_doc || !document::asks_the_site(&attribute.attr) {
                return None;
            }
            format!(
                "doc.{} asks the site or changes the document; put what is needed into the document",
                attribute.attr
            )
        }
        Expr::Named(_) => "a condition can't assign".into(),
        Expr::Lambda(_) => "a condition has no functions of its own".into(),
        Expr::Await(_) | Expr::Yield(_) | Expr::YieldFrom(_) => "a condition can't wait".into(),
        Expr::TString(_) | Expr::BytesLiteral(_) | Expr::EllipsisLiteral(_) | Expr::IpyEscapeCommand(_) => {
            "this kind of value is not offered".into()
        }
        _ => return None,
    };
    Some(Fault::new(message, part))
}

/// Returns the module that an expression names: `utils` or `frappe`.
pub(super) fn module_of(expression: &Expr) -> Option<&'static str> {
    match expression {
        Expr::Name(name) if name.id.as_str() == "utils" => Some("utils"),
        Expr::Name(name) if name.id.as_str() == "frappe" => Some("frappe"),
        Expr::Attribute(attribute) if attribute.attr.as_str() == "utils" => {
            module_of(&attribute.value).filter(|module| *module == "frappe").map(|_| "utils")
        }
        _ => None,
    }
}
