//! A template, parsed.

use std::ops::Range;
use std::sync::Arc;

use crate::python::Py;
use crate::python::ops::Binary;

/// An expression and where it stands in the source.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
    /// Levels of its tree.
    pub(super) depth: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Const(Py),
    Name(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Relation, Expr)>),
    /// `then if test else otherwise`.
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Attribute(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Arguments),
    /// What is filtered; nothing of its own where a block is.
    Filter(Option<Box<Expr>>, Arc<str>, Arguments),
    Test(Box<Expr>, Arc<str>, Arguments),
}

impl Kind {
    /// Returns the expressions that it is made of.
    pub(super) fn parts(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Const(_) | Self::Name(_) => Box::new(std::iter::empty()),
            Self::List(items) | Self::Tuple(items) | Self::Concat(items) => Box::new(items.iter()),
            Self::Dict(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
            Self::Or(a, b) | Self::And(a, b) | Self::Binary(_, a, b) | Self::Item(a, b) => {
                Box::new([&**a, &**b].into_iter())
            }
            Self::Not(a) | Self::Neg(a) | Self::Pos(a) | Self::Attribute(a, _) => Box::new(std::iter::once(&**a)),
            Self::Compare(a, others) => Box::new(std::iter::once(&**a).chain(others.iter().map(|(_, other)| other))),
            Self::If(a, b, c) => Box::new([&**a, &**b].into_iter().chain(c.as_deref())),
            Self::Slice(a, bounds) => {
                Box::new(std::iter::once(&**a).chain(bounds.iter().flatten().map(|bound| &**bound)))
            }
            Self::Call(a, arguments) | Self::Test(a, _, arguments) => {
                Box::new(std::iter::once(&**a).chain(arguments.parts()))
            }
            Self::Filter(a, _, arguments) => Box::new(a.as_deref().into_iter().chain(arguments.parts())),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) given: Vec<Expr>,
    pub(super) named: Vec<(Arc<str>, Expr)>,
    /// `*list`.
    pub(super) more: Option<Box<Expr>>,
    /// `**dictionary`.
    pub(super) more_named: Option<Box<Expr>>,
}

impl Arguments {
    fn parts(&self) -> impl Iterator<Item = &Expr> {
        let named = self.named.iter().map(|(_, value)| value);
        let more = self.more.as_deref().into_iter().chain(self.more_named.as_deref());
        self.given.iter().chain(named).chain(more)
    }
}

#[derive(Debug)]
pub(super) enum Target {
    Name(Arc<str>),
    Several(Vec<Self>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
}

pub(super) type Body = Vec<Statement>;

#[derive(Debug)]
pub(super) enum Statement {
    Text(String),
    Print(Expr),
    For(Arc<For>),
    If(Vec<(Expr, Body)>, Body),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Body),
    With(Vec<(Target, Expr)>, Body),
    Macro(Arc<Macro>),
    CallBlock(Expr, Arc<Macro>),
    FilterBlock(Expr, Body),
    Block(Body),
    Autoescape(Expr, Body),
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) iter: Expr,
    pub(super) test: Option<Expr>,
    pub(super) body: Body,
    pub(super) otherwise: Body,
    pub(super) recursive: bool,
}

/// The names of a macro's parameters, with their defaults.
pub(super) type Parameters = Vec<(Arc<str>, Option<Expr>)>;

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Arc<str>,
    pub(super) parameters: Parameters,
    pub(super) body: Body,
}
