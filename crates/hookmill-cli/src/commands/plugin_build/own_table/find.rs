//! Finds a table that is filled by another module than the one that defines it.

use std::ops::Range;

use wasm_encoder::RawSection;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef, ExternalKind, Instance, Payload,
    TableType, TypeRef,
};

use super::modules::{BASE, Definer, LINKED, TABLE, base_of_elements, constant, imports, only_fills};

/// A core instance by its number, and what it exports under this name.
pub(super) type Export<'a> = (u32, &'a str);

/// A table that is filled by one instance and defined by another.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    pub(super) scope: Scope<'a>,
    /// The instance that fills it before any other, and its module.
    pub(super) filler: u32,
    pub(super) module: u32,
    pub(super) defined: Export<'a>,
    pub(super) ty: TableType,
    /// The module's global that says where its part of the table begins, and what it says.
    pub(super) base: (u32, i32),
    /// The instances that fill in last what the definer calls, and take the table from it.
    pub(super) finishers: Vec<u32>,
}

/// The core modules of a component, and what is made of them.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    modules: Vec<&'a [u8]>,
    instances: Vec<Instance<'a>>,
    /// What instances export, under numbers of the component: for each kind of thing they are counted for itself.
    aliases: Vec<(ExternalKind, Export<'a>)>,
}

impl<'a> Scope<'a> {
    /// Reads what a component has; one that takes modules from elsewhere counts as one that has nothing.
    pub(super) fn read(sections: &[(Payload<'a>, RawSection<'a>)]) -> anyhow::Result<Self> {
        let mut scope = Self::default();
        for (payload, raw) in sections {
            match payload {
                Payload::ModuleSection { .. } => scope.modules.push(raw.data),
                Payload::InstanceSection(instances) => {
                    scope.instances.extend(instances.clone().into_iter().collect::<Result<Vec<_>, _>>()?);
                }
                Payload::ComponentImportSection(imports) => {
                    for import in imports.clone() {
                        if matches!(import?.ty, ComponentTypeRef::Module(_)) {
                            return Ok(Self::default());
                        }
                    }
                }
                Payload::ComponentAliasSection(aliases) => {
                    for alias in aliases.clone() {
                        match alias? {
                            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                                scope.aliases.push((kind, (instance_index, name)));
                            }
                            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
                            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => {
                                return Ok(Self::default());
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(scope)
    }

    /// Finds a table that its filler can own without anybody noticing.
    pub(super) fn filled(self) -> anyhow::Result<Option<Filled<'a>>> {
        for (filler, instance) in (0..).zip(&self.instances) {
            let Instance::Instantiate { module_index: module, .. } = *instance else { continue };
            let Some(base_global) = self.module(module).map(base_of_elements).transpose()?.flatten() else { continue };
            let (Some(defined), Some(base)) = (
                self.imported(filler, (LINKED, TABLE, ExternalKind::Table)),
                self.imported(filler, (LINKED, BASE, ExternalKind::Global)),
            ) else {
                continue;
            };
            let definer =
                self.module_of(defined.0).map(|module| Definer::read(module, defined.1)).transpose()?.flatten();
            let base = self.module_of(base.0).map(|module| constant(module, base.1)).transpose()?.flatten();
            let (Some(definer), Some(base)) = (definer, base) else { continue };
            if let Some(finishers) = self.finishers(filler, module, defined, &definer.called)? {
                let (ty, base) = (definer.ty, (base_global, base));
                return Ok(Some(Filled { filler, module, defined, ty, base, finishers, scope: self }));
            }
        }
        Ok(None)
    }

    /// Returns the instances that fill in what the definer calls, or nothing if the table can't be moved.
    ///
    /// Its filler has to be the first that has the table. Others have it of what was gathered later, and are then given
    /// the one that moved; the last have it of its definer, and do no more than to fill it. As that goes on to call what
    /// they put in, they are made for both tables.
    fn finishers(
        &self,
        filler: u32,
        its_module: u32,
        table: Export<'_>,
        called: &[u32],
    ) -> anyhow::Result<Option<Vec<u32>>> {
        let (mut finishers, mut put_in) = (Vec::new(), Vec::new());
        for (number, instance) in (0..).zip(&self.instances) {
            let Instance::Instantiate { module_index, args } = instance else { continue };
            if number == filler {
                continue;
            }
            if *module_index == its_module {
                return Ok(None);
            }
            for arg in args {
                if !self.takes_table(*module_index, arg.name, arg.index, table)? {
                    continue;
                }
                let gathered_later = arg.index > filler && finishers.is_empty();
                if number > filler && arg.index == table.0 {
                    let Some(entries) = self.module(*module_index).map(only_fills).transpose()?.flatten() else {
                        return Ok(None);
                    };
                    put_in.extend(entries);
                    finishers.push(number);
                } else if !gathered_later {
                    return Ok(None);
                }
            }
        }
        let all = called.iter().all(|entry| put_in.iter().any(|entries: &Range<u32>| entries.contains(entry)));
        Ok(all.then_some(finishers))
    }

    /// Tells whether a module gets this table of the instance that it is given under a name.
    fn takes_table(&self, module: u32, arg: &str, given: u32, table: Export<'_>) -> anyhow::Result<bool> {
        let tables = imports(self.module(module).unwrap_or_default())?.into_iter();
        let mut tables = tables.filter(|(from, _, ty)| *from == arg && matches!(ty, TypeRef::Table(_)));
        Ok(tables.any(|(_, name, _)| self.exported(given, name, ExternalKind::Table) == Some(table)))
    }

    pub(super) fn module(&self, module: u32) -> Option<&'a [u8]> {
        self.modules.get(usize::try_from(module).ok()?).copied()
    }

    fn module_of(&self, instance: u32) -> Option<&'a [u8]> {
        match self.instances.get(usize::try_from(instance).ok()?)? {
            Instance::Instantiate { module_index, .. } => self.module(*module_index),
            Instance::FromExports(_) => None,
        }
    }

    /// Returns the names under which an instance is given another.
    pub(super) fn given_as(&self, instance: u32, given: u32) -> Vec<&'a str> {
        match usize::try_from(instance).ok().and_then(|instance| self.instances.get(instance)) {
            Some(Instance::Instantiate { args, .. }) => {
                args.iter().filter(|arg| arg.index == given).map(|arg| arg.name).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns whose export an instance has for this import.
    fn imported(&self, instance: u32, (from, name, kind): (&str, &'a str, ExternalKind)) -> Option<Export<'a>> {
        let Instance::Instantiate { args, .. } = self.instances.get(usize::try_from(instance).ok()?)? else {
            return None;
        };
        let given = args.iter().find(|arg| arg.name == from)?;
        self.exported(given.index, name, kind)
    }

    /// Returns whose export it is that an instance exports under a name.
    fn exported(&self, instance: u32, name: &'a str, kind: ExternalKind) -> Option<Export<'a>> {
        match self.instances.get(usize::try_from(instance).ok()?)? {
            Instance::Instantiate { .. } => Some((instance, name)),
            Instance::FromExports(exports) => {
                let export = exports.iter().find(|export| export.name == name && export.kind == kind)?;
                self.alias(kind, export.index)
            }
        }
    }

    /// Returns the export that has this number among all of its kind.
    pub(super) fn alias(&self, kind: ExternalKind, number: u32) -> Option<Export<'a>> {
        self.of_kind(kind).nth(usize::try_from(number).ok()?)
    }

    /// Returns the number that an export has in the component.
    pub(super) fn number(&self, kind: ExternalKind, export: Export<'_>) -> Option<u32> {
        (0..).zip(self.of_kind(kind)).find(|(_, aliased)| *aliased == export).map(|(number, _)| number)
    }

    fn of_kind(&self, kind: ExternalKind) -> impl Iterator<Item = Export<'a>> {
        self.aliases.iter().filter(move |alias| alias.0 == kind).map(|alias| alias.1)
    }
}
