//! From tokens to a template: statements.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::ast::{Body, For, Kind, Macro, Parameters, Statement, Target};
use super::lex::{self, Mistake, Token};
use super::names;

mod expression;
mod filter;

/// Levels of blocks and expressions. Parsing and rendering call themselves for each.
const LEVELS_MAX: usize = 60;

/// Parses a normalized source.
pub(super) fn parse(source: &str) -> Result<Body, Mistake> {
    let tokens = lex::tokens(source)?;
    let (read, set) = (Vec::new(), HashSet::new());
    let mut parser = Parser { tokens, place: 0, open: Vec::new(), level: 0, read, set };
    let body = parser.body(&[])?;
    // A template may have a name of its own for what a site has.
    let asked = parser.read.iter().filter(|(name, _)| !parser.set.contains(name));
    match asked.filter_map(|(name, at)| Some(Mistake::new(names::of_the_site(name)?, *at))).next() {
        Some(mistake) => Err(mistake),
        None => Ok(body),
    }
}

pub(super) struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    place: usize,
    /// The tags that would end the blocks that are open, and the block's own.
    open: Vec<(Vec<&'static str>, String)>,
    level: usize,
    /// The names that are read, and where; and those that are set anywhere.
    read: Vec<(Arc<str>, usize)>,
    set: HashSet<Arc<str>>,
}

impl Parser {
    fn token(&self) -> &Token {
        self.tokens.get(self.place).map_or(&Token::End, |(token, _)| token)
    }

    fn after(&self) -> &Token {
        self.tokens.get(self.place + 1).map_or(&Token::End, |(token, _)| token)
    }

    /// Returns where the token begins.
    fn at(&self) -> usize {
        self.tokens.get(self.place).or_else(|| self.tokens.last()).map_or(0, |(_, at)| at.start)
    }

    /// Returns where the token before ended.
    fn ended(&self) -> usize {
        self.place.checked_sub(1).and_then(|place| self.tokens.get(place)).map_or(0, |(_, at)| at.end)
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.place += 1;
        token
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token(), Token::Sign(known) if *known == sign)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.token(), Token::Name(known) if known == name)
    }

    fn skip_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.place += usize::from(found);
        found
    }

    fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.place += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), Mistake> {
        if self.skip_sign(sign) { Ok(()) } else { Err(self.expected(sign)) }
    }

    fn expect_block_end(&mut self) -> Result<(), Mistake> {
        if !matches!(self.token(), Token::BlockEnd) {
            return Err(self.expected("end of statement block"));
        }
        self.place += 1;
        Ok(())
    }

    fn expect_name(&mut self) -> Result<Arc<str>, Mistake> {
        match self.token() {
            Token::Name(name) => {
                let name = Arc::from(name.as_str());
                self.place += 1;
                Ok(name)
            }
            _ => Err(self.expected("name")),
        }
    }

    fn expected(&self, what: &str) -> Mistake {
        match self.token() {
            Token::End => Mistake::new(format!("unexpected end of template, expected '{what}'."), self.at()),
            token => Mistake::new(format!("expected token '{what}', got '{}'", token.shown()), self.at()),
        }
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::new(message, self.at()))
    }

    /// Goes one level down, for as long as `parse` takes.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.level >= LEVELS_MAX {
            return self.fail(format!("blocks or expressions are nested more than {LEVELS_MAX} deep"));
        }
        self.level += 1;
        let parsed = parse(self);
        self.level -= 1;
        parsed
    }

    /// Parses up to a tag of one of these names, which stays; up to the end where there are none.
    fn body(&mut self, ends: &[&'static str]) -> Result<Body, Mistake> {
        let mut body = Body::new();
        loop {
            match self.token() {
                Token::End if ends.is_empty() => return Ok(body),
                Token::End => return Err(self.unended()),
                Token::Data(text) => {
                    body.push(Statement::Text(text.clone()));
                    self.place += 1;
                }
                Token::PrintBegin => {
                    self.place += 1;
                    let printed = self.tuple(true, false)?;
                    if !matches!(self.token(), Token::PrintEnd) {
                        return Err(self.expected("end of print statement"));
                    }
                    self.place += 1;
                    body.push(Statement::Print(printed));
                }
                _ => {
                    self.place += 1;
                    if matches!(self.token(), Token::Name(name) if ends.contains(&name.as_str())) {
                        return Ok(body);
                    }
                    let statement = self.deeper(Self::statement)?;
                    body.push(statement);
                    self.expect_block_end()?;
                }
            }
        }
    }

    /// Parses the inside of a block: the rest of its tag, its body, and the name of the tag that ends it.
    fn block(&mut self, of: &str, ends: &[&'static str]) -> Result<(Body, String), Mistake> {
        self.expect_block_end()?;
        self.open.push((ends.to_vec(), of.to_owned()));
        let body = self.body(ends)?;
        self.open.pop();
        let end = match self.next() {
            Token::Name(name) => name,
            _ => String::new(),
        };
        Ok((body, end))
    }

    fn unended(&self) -> Mistake {
        let looking = self.open.last().map(looking_for).unwrap_or_default();
        Mistake::new(format!("Unexpected end of template.{looking}"), self.at())
    }

    fn statement(&mut self) -> Result<Statement, Mistake> {
        let at = self.at();
        let Token::Name(name) = self.next() else { return Err(Mistake::new("tag name expected", at)) };
        match name.as_str() {
            "for" => self.for_loop(),
            "if" => self.choice(),
            "set" => self.set(),
            "with" => self.with(),
            "macro" => {
                let name = self.expect_name()?;
                self.set.insert(name.clone());
                let parameters = self.parameters()?;
                let (body, _) = self.block("macro", &["endmacro"])?;
                Ok(Statement::Macro(Arc::new(Macro { name, parameters, body })))
            }
            "call" => {
                let parameters = if self.is_sign("(") { self.parameters()? } else { vec![] };
                let call = self.expression()?;
                if !matches!(call.kind, Kind::Call(..)) {
                    return self.fail("expected call");
                }
                let (body, _) = self.block("call", &["endcall"])?;
                let name = Arc::from("caller");
                Ok(Statement::CallBlock(call, Arc::new(Macro { name, parameters, body })))
            }
            "filter" => {
                let filter = self.filters(None, true)?.ok_or_else(|| self.expected("name"))?;
                let (body, _) = self.block("filter", &["endfilter"])?;
                Ok(Statement::FilterBlock(filter, body))
            }
            "block" => {
                let own = self.expect_name()?;
                while self.skip_name("scoped") || self.skip_name("required") {}
                let (body, _) = self.block("block", &["endblock"])?;
                if matches!(self.token(), Token::Name(name) if **name == *own) {
                    self.place += 1;
                }
                Ok(Statement::Block(body))
            }
            "autoescape" => {
                let on = self.expression()?;
                let (body, _) = self.block("autoescape", &["endautoescape"])?;
                Ok(Statement::Autoescape(on, body))
            }
            "print" => Ok(Statement::Print(self.tuple(true, false)?)),
            "include" | "import" | "from" | "extends" => {
                Err(Mistake::new(format!("'{name}' takes another template of the site, which is not here"), at))
            }
            _ => {
                let looking = self.open.last().map(looking_for).unwrap_or_default();
                Err(Mistake::new(format!("Encountered unknown tag '{name}'.{looking}"), at))
            }
        }
    }

    fn for_loop(&mut self) -> Result<Statement, Mistake> {
        let target = self.target(&["in"])?;
        if !self.skip_name("in") {
            return Err(self.expected("in"));
        }
        let iter = self.tuple(false, false)?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let (body, end) = self.block("for", &["endfor", "else"])?;
        let otherwise = if end == "else" { self.block("for", &["endfor"])?.0 } else { vec![] };
        Ok(Statement::For(Arc::new(For { target, iter, test, body, otherwise, recursive })))
    }

    fn choice(&mut self) -> Result<Statement, Mistake> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, false)?;
            let (body, end) = self.block("if", &["elif", "else", "endif"])?;
            branches.push((test, body));
            match end.as_str() {
                "elif" => {}
                "else" => return Ok(Statement::If(branches, self.block("if", &["endif"])?.0)),
                _ => return Ok(Statement::If(branches, vec![])),
            }
        }
    }

    fn set(&mut self) -> Result<Statement, Mistake> {
        let target = self.target(&[])?;
        if self.skip_sign("=") {
            return Ok(Statement::Set(target, self.tuple(true, false)?));
        }
        let filter = self.filters(None, false)?;
        let (body, _) = self.block("set", &["endset"])?;
        Ok(Statement::SetBlock(target, filter, body))
    }

    fn with(&mut self) -> Result<Statement, Mistake> {
        let mut values = Vec::new();
        while !matches!(self.token(), Token::BlockEnd) {
            if !values.is_empty() {
                self.expect_sign(",")?;
            }
            let name = self.expect_name()?;
            self.set.insert(name.clone());
            let target = Target::Name(name);
            self.expect_sign("=")?;
            values.push((target, self.expression()?));
        }
        let (body, _) = self.block("with", &["endwith"])?;
        Ok(Statement::With(values, body))
    }

    fn parameters(&mut self) -> Result<Parameters, Mistake> {
        let mut parameters = Parameters::new();
        self.expect_sign("(")?;
        while !self.is_sign(")") {
            if !parameters.is_empty() {
                self.expect_sign(",")?;
            }
            let name = self.expect_name()?;
            self.set.insert(name.clone());
            let default = if self.skip_sign("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|(_, default)| default.is_some()) {
                return self.fail("non-default argument follows default argument");
            }
            parameters.push((name, default));
        }
        self.expect_sign(")")?;
        Ok(parameters)
    }

    /// Parses what is assigned to, up to one of the words `before`.
    fn target(&mut self, before: &[&str]) -> Result<Target, Mistake> {
        let mut targets = Vec::new();
        let mut several = false;
        loop {
            if self.skip_sign("(") {
                targets.push(self.deeper(|parser| parser.target(&[]))?);
                self.expect_sign(")")?;
            } else {
                let name = self.expect_name()?;
                self.set.insert(name.clone());
                if names::is_constant(&name) {
                    return self.fail("can't assign to 'const'");
                }
                targets.push(match self.skip_sign(".") {
                    true => Target::Attribute(name, self.expect_name()?),
                    false => Target::Name(name),
                });
            }
            if !self.skip_sign(",") {
                break;
            }
            several = true;
            if before.iter().any(|word| self.is_name(word)) || self.is_sign("=") || self.is_sign(")") {
                break;
            }
        }
        match (several, targets.pop()) {
            (false, Some(only)) => Ok(only),
            (_, last) => {
                targets.extend(last);
                Ok(Target::Several(targets))
            }
        }
    }
}

fn looking_for((ends, of): &(Vec<&'static str>, String)) -> String {
    let ends: Vec<String> = ends.iter().map(|end| format!("'{end}'")).collect();
    format!(
        " Jinja was looking for the following tags: {}. The innermost block that needs to be closed is '{of}'.",
        ends.join(" or ")
    )
}
