//! What is read of a core module: what it takes, what it fills, what it calls.

use std::ops::Range;

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExportSectionReader, ExternalKind, FunctionBody, Operator, Parser,
    Payload, TableInit, TableType, TypeRef,
};

/// What the convention for dynamic linking calls the table, and where a library's part of it begins:
/// <https://github.com/WebAssembly/tool-conventions/blob/main/DynamicLinking.md>.
pub(super) const LINKED: &str = "env";
pub(super) const TABLE: &str = "__indirect_function_table";
pub(super) const BASE: &str = "__table_base";

/// Returns what a module imports: from where, under which name, and what it is.
pub(super) fn imports(module: &[u8]) -> anyhow::Result<Vec<(&str, &str, TypeRef)>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            let imports =
                imports.into_imports().map(|import| import.map(|import| (import.module, import.name, import.ty)));
            return Ok(imports.collect::<Result<_, _>>()?);
        }
    }
    Ok(Vec::new())
}

/// Returns the global at which all elements of a module begin, if it has no table but the one that it is linked with.
pub(super) fn base_of_elements(module: &[u8]) -> anyhow::Result<Option<u32>> {
    let imports = imports(module)?;
    let tables: Vec<_> = imports.iter().filter(|import| matches!(import.2, TypeRef::Table(_))).collect();
    let mut globals = (0..).zip(imports.iter().filter(|import| matches!(import.2, TypeRef::Global(_))));
    let base = globals.find(|(_, (from, name, _))| (*from, *name) == (LINKED, BASE));
    let ([(LINKED, TABLE, _)], Some((base, _))) = (&*tables, base) else { return Ok(None) };
    let mut filled = false;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TableSection(_) => return Ok(None),
            Payload::ExportSection(exports) => {
                for export in exports {
                    if export?.name == TABLE {
                        return Ok(None);
                    }
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements {
                    let element = element?;
                    let ElementKind::Active { offset_expr, .. } = element.kind else { continue };
                    let Some(Operator::GlobalGet { global_index }) = alone(&offset_expr)? else { return Ok(None) };
                    if global_index != base || !matches!(element.items, ElementItems::Functions(_)) {
                        return Ok(None);
                    }
                    filled = true;
                }
            }
            _ => {}
        }
    }
    Ok(filled.then_some(base))
}

/// A module that defines and exports a table.
pub(super) struct Definer {
    pub(super) ty: TableType,
    /// The entries that its own code calls.
    pub(super) called: Vec<u32>,
}

impl Definer {
    /// Reads a module that does nothing else with the table than to call fixed entries, as a linker's main module does.
    pub(super) fn read(module: &[u8], name: &str) -> anyhow::Result<Option<Self>> {
        if imports(module)?.iter().any(|import| matches!(import.2, TypeRef::Table(_))) {
            return Ok(None);
        }
        let (mut tables, mut exported, mut called) = (Vec::new(), None, Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TableSection(section) => {
                    for table in section {
                        let table = table?;
                        tables.push(matches!(table.init, TableInit::RefNull).then_some(table.ty));
                    }
                }
                Payload::ExportSection(exports) => exported = number_of(exports, name, ExternalKind::Table)?,
                Payload::ElementSection(elements) if elements.count() > 0 => return Ok(None),
                Payload::CodeSectionEntry(body) => match called_entries(&body)? {
                    Some(entries) => called.extend(entries),
                    None => return Ok(None),
                },
                _ => {}
            }
        }
        Ok(exported.and_then(|number| *tables.get(number)?).map(|ty| Self { ty, called }))
    }
}

/// Returns the entries of tables that a function calls, or nothing if it does anything else with a table.
fn called_entries(body: &FunctionBody<'_>) -> anyhow::Result<Option<Vec<u32>>> {
    let (mut called, mut before) = (Vec::new(), Operator::Nop);
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        match (&before, &operator) {
            (Operator::I32Const { value }, Operator::CallIndirect { .. }) => called.push(value.cast_unsigned()),
            (
                _,
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. }
                | Operator::TableFill { .. }
                | Operator::TableGet { .. }
                | Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableSize { .. },
            ) => return Ok(None),
            _ => {}
        }
        before = operator;
    }
    Ok(Some(called))
}

/// Returns the entries that a module puts into the table it imports, if it does so at fixed places and does no more.
pub(super) fn only_fills(module: &[u8]) -> anyhow::Result<Option<Vec<Range<u32>>>> {
    let mut filled = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ElementSection(elements) => {
                for element in elements {
                    let element = element?;
                    let ElementItems::Functions(functions) = element.items else { return Ok(None) };
                    let ElementKind::Active { offset_expr, .. } = element.kind else { return Ok(None) };
                    let Some(Operator::I32Const { value }) = alone(&offset_expr)? else { return Ok(None) };
                    let start = value.cast_unsigned();
                    filled.push(start..start.saturating_add(functions.count()));
                }
            }
            Payload::DataSection(data) => {
                for data in data {
                    if matches!(data?.kind, DataKind::Active { .. }) {
                        return Ok(None);
                    }
                }
            }
            Payload::StartSection { .. } | Payload::ExportSection(_) => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(filled))
}

/// Returns the value at which a global that a module exports begins, if that is written down; that elements may begin
/// there says that it never changes.
pub(super) fn constant(module: &[u8], name: &str) -> anyhow::Result<Option<i32>> {
    let imported = imports(module)?.iter().filter(|import| matches!(import.2, TypeRef::Global(_))).count();
    let (mut globals, mut exported) = (Vec::new(), None);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let value = match alone(&global.init_expr)? {
                        Some(Operator::I32Const { value }) => Some(value),
                        _ => None,
                    };
                    globals.push(value);
                }
            }
            Payload::ExportSection(exports) => exported = number_of(exports, name, ExternalKind::Global)?,
            _ => {}
        }
    }
    Ok(exported.and_then(|number| *globals.get(number.checked_sub(imported)?)?))
}

/// Returns the number of what is exported under this name.
fn number_of(exports: ExportSectionReader<'_>, name: &str, kind: ExternalKind) -> anyhow::Result<Option<usize>> {
    for export in exports {
        let export = export?;
        if export.name == name && export.kind == kind {
            return Ok(usize::try_from(export.index).ok());
        }
    }
    Ok(None)
}

/// Returns the instruction of which an expression consists, if it is one alone.
pub(super) fn alone<'a>(expression: &ConstExpr<'a>) -> anyhow::Result<Option<Operator<'a>>> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read()?;
    Ok(matches!(operators.read()?, Operator::End).then_some(first))
}
