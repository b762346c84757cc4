//! Expressions, by Jinja's precedence.

use std::sync::Arc;

use super::super::ast::{Arguments, Expr, Kind, Relation};
use super::super::lex::{Mistake, Token};
use super::super::names;
use super::Parser;
use crate::python::Py;
use crate::python::ops::Binary;

/// Levels of an expression's tree, which a long row of operators makes as well as brackets do.
const DEPTH_MAX: usize = 150;

impl Parser {
    pub(super) fn expression(&mut self) -> Result<Expr, Mistake> {
        self.deeper(Self::conditional)
    }

    /// Makes an expression of what was read since `begin`.
    pub(super) fn made(&self, begin: usize, kind: Kind) -> Result<Expr, Mistake> {
        let depth = 1 + kind.parts().map(|part| part.depth).max().unwrap_or(0);
        if depth > DEPTH_MAX {
            return Err(Mistake::new(
                format!("an expression has more than {DEPTH_MAX} steps inside of each other"),
                begin,
            ));
        }
        Ok(Expr { kind, at: begin..self.ended(), depth })
    }

    /// Parses expressions with commas between them as a tuple, and one alone as itself.
    pub(super) fn tuple(&mut self, conditional: bool, in_parentheses: bool) -> Result<Expr, Mistake> {
        let begin = self.at();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            let ends = matches!(self.token(), Token::PrintEnd | Token::BlockEnd) || self.is_sign(")");
            if ends || (!conditional && self.is_name("recursive")) {
                break;
            }
            items.push(if conditional { self.expression()? } else { self.deeper(Self::either)? });
            if !self.skip_sign(",") {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            Some(only) if !is_tuple => Ok(only),
            None if !in_parentheses => self.fail(format!("Expected an expression, got '{}'", self.token().shown())),
            last => {
                items.extend(last);
                self.made(begin, Kind::Tuple(items))
            }
        }
    }

    fn conditional(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let mut value = self.either()?;
        while self.skip_name("if") {
            let test = self.either()?;
            let otherwise = if self.skip_name("else") { Some(Box::new(self.expression()?)) } else { None };
            value = self.made(begin, Kind::If(Box::new(value), Box::new(test), otherwise))?;
        }
        Ok(value)
    }

    fn either(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let mut left = self.both()?;
        while self.skip_name("or") {
            let right = self.both()?;
            left = self.made(begin, Kind::Or(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let mut left = self.negated()?;
        while self.skip_name("and") {
            let right = self.negated()?;
            left = self.made(begin, Kind::And(Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        if !self.skip_name("not") {
            return self.compared();
        }
        let value = self.deeper(Self::negated)?;
        self.made(begin, Kind::Not(Box::new(value)))
    }

    fn compared(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let first = self.sum()?;
        let mut relations = Vec::new();
        loop {
            let relation = match self.token() {
                Token::Sign("==") => Relation::Equal,
                Token::Sign("!=") => Relation::NotEqual,
                Token::Sign("<") => Relation::Less,
                Token::Sign("<=") => Relation::LessOrEqual,
                Token::Sign(">") => Relation::Greater,
                Token::Sign(">=") => Relation::GreaterOrEqual,
                Token::Name(name) if name == "in" => Relation::In,
                Token::Name(name) if name == "not" && matches!(self.after(), Token::Name(name) if name == "in") => {
                    self.place += 1;
                    Relation::NotIn
                }
                _ => break,
            };
            self.place += 1;
            relations.push((relation, self.sum()?));
        }
        if relations.is_empty() {
            return Ok(first);
        }
        self.made(begin, Kind::Compare(Box::new(first), relations))
    }

    /// Parses operators of one precedence, from left to right.
    fn operators(
        &mut self,
        signs: &[(&str, Binary)],
        operand: fn(&mut Self) -> Result<Expr, Mistake>,
    ) -> Result<Expr, Mistake> {
        let begin = self.at();
        let mut left = operand(self)?;
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.place += 1;
            let right = operand(self)?;
            left = self.made(begin, Kind::Binary(*operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr, Mistake> {
        self.operators(&[("+", Binary::Add), ("-", Binary::Sub)], Self::concatenation)
    }

    fn concatenation(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let first = self.product()?;
        if !self.is_sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_sign("~") {
            parts.push(self.product()?);
        }
        self.made(begin, Kind::Concat(parts))
    }

    fn product(&mut self) -> Result<Expr, Mistake> {
        let signs = [("*", Binary::Mult), ("/", Binary::Div), ("//", Binary::FloorDiv), ("%", Binary::Mod)];
        self.operators(&signs, Self::power)
    }

    fn power(&mut self) -> Result<Expr, Mistake> {
        self.operators(&[("**", Binary::Pow)], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr, Mistake> {
        let begin = self.at();
        let value = if self.skip_sign("-") {
            let operand = self.deeper(|parser| parser.unary(false))?;
            self.made(begin, Kind::Neg(Box::new(operand)))?
        } else if self.skip_sign("+") {
            let operand = self.deeper(|parser| parser.unary(false))?;
            self.made(begin, Kind::Pos(Box::new(operand)))?
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if with_filters { self.filtered(value) } else { Ok(value) }
    }

    pub(super) fn primary(&mut self) -> Result<Expr, Mistake> {
        let begin = self.at();
        let kind = match self.token().clone() {
            Token::Name(name) => {
                self.place += 1;
                match name.as_str() {
                    "true" | "True" => Kind::Const(Py::Bool(true)),
                    "false" | "False" => Kind::Const(Py::Bool(false)),
                    "none" | "None" => Kind::Const(Py::None),
                    _ => {
                        let name: Arc<str> = name.into();
                        self.read.push((name.clone(), begin));
                        Kind::Name(name)
                    }
                }
            }
            Token::Text(mut text) => {
                self.place += 1;
                while let Token::Text(more) = self.token() {
                    text.push_str(more);
                    self.place += 1;
                }
                Kind::Const(Py::str(text))
            }
            Token::Number(number) => {
                self.place += 1;
                Kind::Const(number)
            }
            Token::Sign("(") => {
                self.place += 1;
                let inside = self.deeper(|parser| parser.tuple(true, true))?;
                self.expect_sign(")")?;
                return Ok(Expr { at: begin..self.ended(), ..inside });
            }
            Token::Sign("[") => {
                self.place += 1;
                let items = self.separated("]")?;
                Kind::List(items)
            }
            Token::Sign("{") => {
                self.place += 1;
                self.dictionary()?
            }
            Token::End => return self.fail("unexpected end of template"),
            token => return self.fail(format!("unexpected '{}'", token.shown())),
        };
        self.made(begin, kind)
    }

    fn separated(&mut self, end: &str) -> Result<Vec<Expr>, Mistake> {
        let mut items = Vec::new();
        while !self.is_sign(end) {
            if !items.is_empty() {
                self.expect_sign(",")?;
            }
            if self.is_sign(end) {
                break;
            }
            items.push(self.expression()?);
        }
        self.expect_sign(end)?;
        Ok(items)
    }

    fn dictionary(&mut self) -> Result<Kind, Mistake> {
        let mut entries = Vec::new();
        while !self.is_sign("}") {
            if !entries.is_empty() {
                self.expect_sign(",")?;
            }
            if self.is_sign("}") {
                break;
            }
            let key = self.expression()?;
            self.expect_sign(":")?;
            entries.push((key, self.expression()?));
        }
        self.expect_sign("}")?;
        Ok(Kind::Dict(entries))
    }

    pub(super) fn postfix(&mut self, mut value: Expr) -> Result<Expr, Mistake> {
        let begin = value.at.start;
        loop {
            let kind = if self.skip_sign(".") {
                match self.next() {
                    Token::Name(name) => Kind::Attribute(Box::new(value), name.into()),
                    Token::Number(index @ Py::Int(_)) => {
                        let index = self.made(self.ended(), Kind::Const(index))?;
                        Kind::Item(Box::new(value), Box::new(index))
                    }
                    _ => {
                        self.place -= 1;
                        return self.fail("expected name or number");
                    }
                }
            } else if self.skip_sign("[") {
                self.subscript(value)?
            } else if self.is_sign("(") {
                Kind::Call(Box::new(value), self.arguments()?)
            } else {
                return Ok(value);
            };
            value = self.made(begin, kind)?;
            if let Some(message) = names::asked_of_the_site(&value) {
                return Err(Mistake::new(message, begin));
            }
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Kind, Mistake> {
        let mut bounds: [Option<Box<Expr>>; 3] = [None, None, None];
        let mut colons = 0;
        while !self.is_sign("]") {
            if colons < 2 && self.skip_sign(":") {
                colons += 1;
                continue;
            }
            let part = self.expression()?;
            match bounds.get_mut(colons) {
                Some(bound @ None) => *bound = Some(Box::new(part)),
                _ => return Err(self.expected("]")),
            }
        }
        self.expect_sign("]")?;
        match bounds {
            [Some(index), None, None] if colons == 0 => Ok(Kind::Item(Box::new(value), index)),
            _ if colons == 0 => self.fail("expected subscript expression"),
            bounds => Ok(Kind::Slice(Box::new(value), bounds)),
        }
    }

    pub(super) fn arguments(&mut self) -> Result<Arguments, Mistake> {
        let mut read = Arguments::default();
        self.expect_sign("(")?;
        let mut any = false;
        while !self.is_sign(")") {
            if any {
                self.expect_sign(",")?;
                if self.is_sign(")") {
                    break;
                }
            }
            any = true;
            if self.skip_sign("*") {
                read.more = Some(Box::new(self.expression()?));
            } else if self.skip_sign("**") {
                read.more_named = Some(Box::new(self.expression()?));
            } else if let (Token::Name(name), Token::Sign("=")) = (self.token().clone(), self.after()) {
                self.place += 2;
                read.named.push((name.into(), self.expression()?));
            } else if !read.named.is_empty() {
                return self.fail("invalid syntax for function call expression");
            } else {
                read.given.push(self.expression()?);
            }
        }
        self.expect_sign(")")?;
        Ok(read)
    }
}
