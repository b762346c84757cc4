//! From places in a component's code to lines of its source.
//!
//! Debug information is written by a component's author, and reading it may take any time, memory and depth of stack: a
//! few kilobytes can stand for millions of functions, or for one that is nested a million times in itself. So whoever
//! compiles a component reads it, within the compiler's limits, and leaves a plain table; a crash only looks places up.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use addr2line::Context;
use addr2line::gimli::{self, EndianSlice, LittleEndian};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, FunctionBody, Parser, Payload};

/// Bytes of a table. That of a plugin in Rust with the lines of its whole standard library has a tenth of it.
const TABLE_BYTES_MAX: usize = 8 << 20;

/// Functions that were inlined into each other at one place; those further out are left away.
const INLINED_MAX: usize = 32;

type Dwarf<'a> = EndianSlice<'a, LittleEndian>;

/// The lines of one component's source, which are read when the first one is asked for.
#[derive(Debug)]
pub(crate) struct SourceLines {
    kept: Kept,
    table: OnceLock<Table>,
}

#[derive(Debug)]
enum Kept {
    Here(Option<Vec<u8>>),
    File(PathBuf),
}

/// A function that was inlined at a place, or the one that it lies in, and the line there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceFrame<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
}

/// All places of a component whose source is known.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Table {
    texts: IndexSet<String>,
    /// The frames at some place, innermost first.
    stacks: IndexSet<Vec<Frame>>,
    functions: Vec<Function>,
}

/// A [`SourceFrame`], its texts by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Frame {
    name: Option<usize>,
    file: Option<usize>,
    line: Option<u32>,
}

/// A function of one of the component's modules. All places are offsets in the whole component.
#[derive(Debug, Serialize, Deserialize)]
struct Function {
    start: u64,
    /// From which place on the frames are those of which stack.
    places: Vec<(u64, usize)>,
}

impl SourceLines {
    /// Takes a table that [`table_of`] made just now, if it made one.
    pub(crate) fn here(table: Option<Vec<u8>>) -> Self {
        Self { kept: Kept::Here(table), table: OnceLock::new() }
    }

    /// Takes a table that lies in a file, if there is one.
    pub(crate) fn in_file(file: PathBuf) -> Self {
        Self { kept: Kept::File(file), table: OnceLock::new() }
    }

    /// Returns the frames at a place in the function that starts at `start`, innermost first; none if nothing is known
    /// of it.
    pub(crate) fn at(&self, start: usize, place: usize) -> Vec<SourceFrame<'_>> {
        let table = self.table.get_or_init(|| self.read());
        let text = |number: Option<usize>| table.texts.get_index(number?).map(String::as_str);
        let [start, place] = [start, place].map(|offset| u64::try_from(offset).ok());
        let frames = start.zip(place).and_then(|(start, place)| table.stack(start, place)).unwrap_or_default();
        let shown = |frame: &Frame| SourceFrame { name: text(frame.name), file: text(frame.file), line: frame.line };
        frames.iter().map(shown).collect()
    }

    /// Reads the table. Without one a backtrace has names only, so a failure is told to the log.
    fn read(&self) -> Table {
        let decode = |bytes: &[u8]| postcard::from_bytes(bytes).map_err(|error| error.to_string());
        let read = match &self.kept {
            Kept::Here(table) => table.as_deref().map_or_else(|| Ok(Table::default()), decode),
            Kept::File(file) => match std::fs::read(file) {
                Ok(table) => decode(&table),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Table::default()),
                Err(error) => Err(error.to_string()),
            },
        };
        read.unwrap_or_else(|error| {
            tracing::warn!(error, "the source lines of a plugin can't be read; its backtraces have names only");
            Table::default()
        })
    }
}

impl Table {
    fn stack(&self, start: u64, place: u64) -> Option<&[Frame]> {
        // Code that the engine itself made to join components has places of its own, at which no function starts here.
        let function = self.functions.binary_search_by_key(&start, |function| function.start).ok()?;
        let places = &self.functions.get(function)?.places;
        let (_, stack) = places.get(places.partition_point(|(from, _)| *from <= place).checked_sub(1)?)?;
        self.stacks.get_index(*stack).map(Vec::as_slice)
    }

    /// Adds what a module's debug information says of its code; what can't be read of it stays unknown.
    fn add(&mut self, module: &Module<'_>) -> Result<(), gimli::Error> {
        let section = |id: gimli::SectionId| module.sections.get(id.name()).copied().unwrap_or_default();
        if section(gimli::SectionId::DebugInfo).is_empty() {
            return Ok(());
        }
        let dwarf = gimli::Dwarf::load(|id| Ok::<_, gimli::Error>(EndianSlice::new(section(id), LittleEndian)))?;
        let context = Context::from_dwarf(dwarf)?;
        for body in &module.bodies {
            let Ok(operators) = body.get_operators_reader() else { continue };
            let mut places: Vec<(u64, usize)> = Vec::new();
            for (_, place) in operators.into_iter_with_offsets().flatten() {
                // Its addresses are those within the section of code.
                let stack = self.frames(&context, place - module.code)?;
                if places.last().is_none_or(|(_, last)| *last != stack) {
                    places.push((place, stack));
                }
            }
            self.functions.push(Function { start: body.range().start, places });
        }
        Ok(())
    }

    /// Returns the number of the stack at an address.
    fn frames(&mut self, context: &Context<Dwarf<'_>>, address: u64) -> Result<usize, gimli::Error> {
        let mut stack = Vec::new();
        let mut frames = context.find_frames(address).skip_all_loads()?;
        while let Some(frame) = frames.next()?
            && stack.len() < INLINED_MAX
        {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let location = frame.location.as_ref();
            stack.push(Frame {
                name: name.map(|name| self.text(&name)),
                file: location.and_then(|location| location.file).map(|file| self.text(file)),
                line: location.and_then(|location| location.line),
            });
        }
        Ok(self.stacks.insert_full(stack).0)
    }

    fn text(&mut self, text: &str) -> usize {
        self.texts.get_index_of(text).unwrap_or_else(|| self.texts.insert_full(text.to_owned()).0)
    }
}

/// What a module's code and debug information are.
#[derive(Default)]
struct Module<'a> {
    code: u64,
    bodies: Vec<FunctionBody<'a>>,
    sections: HashMap<&'a str, &'a [u8]>,
}

/// Makes the table of a component that was inspected before: the lines of each place in its code. None if there are more
/// than are kept.
pub(crate) fn table_of(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut table = Table::default();
    // Modules lie in components, not in each other.
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => module = Module::default(),
            Payload::CodeSectionStart { unchecked_range, .. } => module.code = unchecked_range.start,
            Payload::CodeSectionEntry(body) => module.bodies.push(body),
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                module.sections.insert(section.name(), section.data());
            }
            Payload::End(_) => {
                // What was understood before an error stays.
                let _read = table.add(&std::mem::take(&mut module));
            }
            _ => {}
        }
    }
    postcard::to_allocvec(&table).ok().filter(|bytes| bytes.len() <= TABLE_BYTES_MAX)
}
