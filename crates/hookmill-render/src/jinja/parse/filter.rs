//! What stands behind a value: filters and tests.

use std::sync::Arc;

use super::super::ast::{Arguments, Expr, Kind};
use super::super::lex::{Mistake, Token};
use super::super::{filters, tests};
use super::Parser;

impl Parser {
    /// Parses the filters, tests and calls behind a value.
    pub(super) fn filtered(&mut self, mut value: Expr) -> Result<Expr, Mistake> {
        loop {
            if self.is_sign("|") {
                value = self.filters(Some(value), false)?.ok_or_else(|| self.expected("name"))?;
            } else if self.skip_name("is") {
                value = self.test(value)?;
            } else if self.is_sign("(") {
                let begin = value.at.start;
                let arguments = self.arguments()?;
                value = self.made(begin, Kind::Call(Box::new(value), arguments))?;
            } else {
                return Ok(value);
            }
        }
    }

    /// Parses filters in a row; the first stands without its bar where a block is filtered (`bare`).
    pub(super) fn filters(&mut self, value: Option<Expr>, bare: bool) -> Result<Option<Expr>, Mistake> {
        let begin = value.as_ref().map_or_else(|| self.at(), |value| value.at.start);
        let mut value = value;
        let mut bare = bare;
        while bare || self.skip_sign("|") {
            bare = false;
            let at = self.at();
            let mut name = self.expect_name()?.to_string();
            while self.skip_sign(".") {
                name = format!("{name}.{}", self.expect_name()?);
            }
            if let Some(message) = filters::refused(&name) {
                return Err(Mistake::new(message, at));
            }
            let arguments = if self.is_sign("(") { self.arguments()? } else { Arguments::default() };
            value = Some(self.made(begin, Kind::Filter(value.map(Box::new), name.into(), arguments))?);
        }
        Ok(value)
    }

    fn test(&mut self, value: Expr) -> Result<Expr, Mistake> {
        let begin = value.at.start;
        let negated = self.skip_name("not");
        let at = self.at();
        let mut name: Arc<str> = self.expect_name()?;
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.expect_name()?).into();
        }
        if !tests::is_known(&name) {
            return Err(Mistake::new(format!("No test named '{name}'."), at));
        }
        let takes_one = match self.token() {
            Token::Name(word) => !matches!(word.as_str(), "else" | "or" | "and" | "if" | "in" | "not"),
            Token::Text(_) | Token::Number(_) => true,
            Token::Sign(sign) => matches!(*sign, "[" | "{"),
            _ => false,
        };
        let arguments = if self.is_sign("(") {
            self.arguments()?
        } else if takes_one {
            if self.is_name("is") {
                return self.fail("You cannot chain multiple tests with is");
            }
            let argument = self.primary()?;
            let argument = self.postfix(argument)?;
            Arguments { given: vec![argument], ..Arguments::default() }
        } else {
            Arguments::default()
        };
        let test = self.made(begin, Kind::Test(Box::new(value), name, arguments))?;
        if negated { self.made(begin, Kind::Not(Box::new(test))) } else { Ok(test) }
    }
}
