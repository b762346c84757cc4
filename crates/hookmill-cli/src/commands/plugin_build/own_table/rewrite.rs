//! Writes a component anew in which a module owns the table that it fills.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, ReencodeComponent as _, RoundtripReencoder};
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ConstExpr, ElementSection, ExportKind, ExportSection, ImportSection,
    InstanceSection, Module, ModuleArg, RawSection, TableSection,
};
use wasmparser::{ComponentAlias, ExternalKind, Instance, Operator, Payload, TypeRef};

use super::super::sections::sections;
use super::find::Filled;
use super::modules::{LINKED, TABLE, alone, imports};

type Sections<'a> = [(Payload<'a>, RawSection<'a>)];

/// What is gathered in an instance: its name there, its kind, and its number among all of that kind.
type Item<'a> = (&'a str, ExportKind, u32);

/// Returns the component anew, or nothing if somebody takes the table from its definer together with what has no number.
pub(super) fn component(all: &Sections<'_>, filled: &Filled<'_>) -> anyhow::Result<Option<Vec<u8>>> {
    let mut writer = Writer { filled, out: Component::new(), tables: 0, instances: 0, owned: None };
    let mut modules = 0;
    for (payload, raw) in all {
        match payload {
            Payload::ModuleSection { .. } => {
                if modules == filled.module {
                    let data = module(raw.data, filled)?;
                    writer.out.section(&RawSection { id: raw.id, data: &data });
                } else {
                    writer.out.section(raw);
                }
                modules += 1;
            }
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    if !writer.instance(&instance?)? {
                        return Ok(None);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => writer.aliases(aliases.clone())?,
            // It names instances by numbers that have changed, for people who read the component as text.
            Payload::CustomSection(section) if section.name() == "component-name" => {}
            _ => drop(writer.out.section(raw)),
        }
    }
    Ok(Some(writer.out.finish()))
}

struct Writer<'a, 'b> {
    filled: &'b Filled<'a>,
    out: Component,
    /// How many tables and instances of the old component have been passed.
    tables: u32,
    instances: u32,
    /// The number of the table that its filler owns, once that is there.
    owned: Option<u32>,
}

impl Writer<'_, '_> {
    /// Writes an instance, and what is made beside it; tells whether it could.
    fn instance(&mut self, instance: &Instance<'_>) -> anyhow::Result<bool> {
        let number = self.instances;
        let mut section = InstanceSection::new();
        match instance {
            Instance::FromExports(exports) => {
                section.export_items(exports.iter().map(|export| {
                    let index = match export.kind {
                        ExternalKind::Table => self.new_table(export.index),
                        _ => export.index,
                    };
                    (export.name, ExportKind::from(export.kind), index)
                }));
            }
            Instance::Instantiate { module_index, args } => {
                let args: Vec<_> = args.iter().map(|arg| (arg.name, self.new_instance(arg.index))).collect();
                instantiate(&mut section, *module_index, &args);
                if let Some(owned) = self.owned.filter(|_| self.filled.finishers.contains(&number)) {
                    let Some(items) = self.with_owned_table(number, *module_index, owned)? else { return Ok(false) };
                    section.export_items(items);
                    let (definer, gathered) = (self.new_instance(self.filled.defined.0), self.new_instance(number) + 1);
                    let instead = |(name, given)| (name, if given == definer { gathered } else { given });
                    let args: Vec<_> = args.into_iter().map(instead).collect();
                    instantiate(&mut section, *module_index, &args);
                }
            }
        }
        self.out.section(&section);
        self.instances += 1;
        if number == self.filled.filler {
            let mut aliases = ComponentAliasSection::new();
            let instance = self.new_instance(number);
            aliases.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Table, name: TABLE });
            self.out.section(&aliases);
            self.owned = Some(self.tables);
        }
        Ok(true)
    }

    fn aliases(&mut self, aliases: wasmparser::ComponentAliasSectionReader<'_>) -> anyhow::Result<()> {
        let mut section = ComponentAliasSection::new();
        for alias in aliases {
            let alias = alias?;
            if matches!(alias, ComponentAlias::CoreInstanceExport { kind: ExternalKind::Table, .. }) {
                self.tables += 1;
            }
            section.alias(match alias {
                ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                    Alias::CoreInstanceExport { instance: self.new_instance(instance_index), kind: kind.into(), name }
                }
                other => RoundtripReencoder.component_alias(other)?,
            });
        }
        self.out.section(&section);
        Ok(())
    }

    /// Returns all that an instance takes from the definer, but the table from its owner.
    fn with_owned_table(&self, instance: u32, module: u32, owned: u32) -> anyhow::Result<Option<Vec<Item<'_>>>> {
        let Filled { scope, defined: (definer, table), .. } = self.filled;
        let from_definer = scope.given_as(instance, *definer);
        let mut items = Vec::new();
        for (from, name, ty) in imports(scope.module(module).unwrap_or_default())? {
            let kind = match ty {
                _ if !from_definer.contains(&from) => continue,
                TypeRef::Table(_) if name == *table => {
                    items.push((name, ExportKind::Table, owned));
                    continue;
                }
                TypeRef::Memory(_) => ExternalKind::Memory,
                TypeRef::Global(_) => ExternalKind::Global,
                // Functions come from other places too, and are not counted.
                _ => return Ok(None),
            };
            let Some(number) = scope.number(kind, (*definer, name)) else { return Ok(None) };
            items.push((name, kind.into(), number));
        }
        Ok(Some(items))
    }

    /// Two instances follow each finisher: what it is given, and itself for the owned table.
    fn new_instance(&self, old: u32) -> u32 {
        self.filled.finishers.iter().filter(|finisher| **finisher < old).fold(old, |number, _| number + 2)
    }

    fn new_table(&self, old: u32) -> u32 {
        match self.owned {
            Some(owned) if self.filled.scope.alias(ExternalKind::Table, old) == Some(self.filled.defined) => owned,
            Some(owned) if old >= owned => old + 1,
            _ => old,
        }
    }
}

fn instantiate(section: &mut InstanceSection, module: u32, args: &[(&str, u32)]) {
    section.instantiate(module, args.iter().map(|(name, given)| (*name, ModuleArg::Instance(*given))));
}

/// Returns the module that defines and exports the table which it imported, and says itself where its elements begin.
fn module(module: &[u8], filled: &Filled<'_>) -> anyhow::Result<Vec<u8>> {
    let mut out = Module::new();
    for (payload, raw) in sections(module)? {
        match payload {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.into_imports() {
                    let import = import?;
                    if (import.module, import.name) != (LINKED, TABLE) {
                        RoundtripReencoder.parse_import(&mut imports, import)?;
                    }
                }
                out.section(&imports);
            }
            // The section of tables stands behind it.
            Payload::FunctionSection(_) => {
                let mut tables = TableSection::new();
                tables.table(RoundtripReencoder.table_type(filled.ty)?);
                out.section(&raw).section(&tables);
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                RoundtripReencoder.parse_export_section(&mut exports, section)?;
                exports.export(TABLE, ExportKind::Table, 0);
                out.section(&exports);
            }
            Payload::ElementSection(section) => {
                let mut elements = ElementSection::new();
                AtBase { base: filled.base }.parse_element_section(&mut elements, section)?;
                out.section(&elements);
            }
            _ => drop(out.section(&raw)),
        }
    }
    Ok(out.finish())
}

/// Puts the value of the base in the place of the global that has it.
struct AtBase {
    base: (u32, i32),
}

impl Reencode for AtBase {
    type Error = Infallible;

    fn const_expr(&mut self, expression: wasmparser::ConstExpr<'_>) -> Result<ConstExpr, reencode::Error<Infallible>> {
        match alone(&expression) {
            Ok(Some(Operator::GlobalGet { global_index })) if global_index == self.base.0 => {
                Ok(ConstExpr::i32_const(self.base.1))
            }
            _ => reencode::utils::const_expr(self, expression),
        }
    }
}
