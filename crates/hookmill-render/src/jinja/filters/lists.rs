//! Filters of lists.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::super::run::Run;
use super::texts::whole;
use super::{Made, apply as filter, passes, soft};
use crate::python::object::{Named, View};
use crate::python::{Args, Missing, Py, ops};

/// Bytes that one join may make.
const JOINED_BYTES_MAX: usize = 4 << 20;

pub(super) fn apply(run: &mut Run, name: &str, value: &Py, args: &Args) -> Made {
    let items = || value.iterate();
    match name {
        "list" => items().map(Py::list),
        "first" => items()
            .map(|items| items.first().cloned().unwrap_or_else(|| Missing::hint("No first item, sequence was empty."))),
        "last" => items()
            .map(|items| items.last().cloned().unwrap_or_else(|| Missing::hint("No last item, sequence was empty."))),
        "reverse" => match value {
            Py::Str(text) => Ok(Py::str(text.chars().rev().collect::<String>())),
            _ => Ok(view("list_reverseiterator", items()?.into_iter().rev().collect())),
        },
        "items" => match value {
            Py::Missing(_) => Ok(Py::list([])),
            Py::Dict(..) => crate::python::methods::call(value, "items", &Args::default()),
            _ => Err("Can only get item pairs from a mapping.".into()),
        },
        "join" => join(run, items()?, args),
        "map" => map(run, items()?, args),
        "select" | "reject" => {
            let mut kept = Vec::new();
            for item in items()? {
                if passes(&item, &args.given)? == (name == "select") {
                    kept.push(item);
                }
            }
            Ok(view("generator", kept))
        }
        "selectattr" | "rejectattr" => {
            let (attribute, test) = args.given.split_first().ok_or("Missing parameter for attribute name")?;
            let mut kept = Vec::new();
            for item in items()? {
                if passes(&reached(run, &item, attribute)?, test)? == (name == "selectattr") {
                    kept.push(item);
                }
            }
            Ok(view("generator", kept))
        }
        "sum" => {
            let attribute = args.get(0, "attribute");
            let start = args.given.get(1).or_else(|| args.named("start")).cloned().unwrap_or(Py::Int(0));
            items()?
                .into_iter()
                .try_fold(start, |sum, item| ops::binary(ops::Binary::Add, &sum, &of_attribute(run, item, attribute)?))
        }
        "min" | "max" => extreme(run, name, items()?, args),
        "sort" => sorted(run, items()?, args),
        "unique" => unique(run, items()?, args),
        "groupby" => grouped(run, items()?, args),
        "dictsort" => dict_sorted(value, args),
        "batch" => batch(items()?, args),
        "slice" => sliced(items()?, args),
        _ => random(run, &items()?),
    }
}

fn view(name: &'static str, items: Vec<Py>) -> Py {
    Py::object(View { name, items })
}

/// Follows `a.b.0` into an item.
fn reached(run: &Run, item: &Py, attribute: &Py) -> Made {
    let Py::Str(path) = attribute else { return run.item(item, attribute) };
    let mut value = item.clone();
    for part in path.split('.') {
        let index = part.parse().map_or_else(|_| Py::str(part), Py::Int);
        value = run.item(&value, &index)?;
    }
    Ok(value)
}

fn of_attribute(run: &Run, item: Py, attribute: &Py) -> Made {
    if matches!(attribute, Py::None) { Ok(item) } else { reached(run, &item, attribute) }
}

fn join(run: &mut Run, items: Vec<Py>, args: &Args) -> Made {
    let between = match args.get(0, "d") {
        Py::None => String::new(),
        between => soft(between)?,
    };
    let mut out = String::new();
    run.pay(items.len())?;
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push_str(&between);
        }
        out.push_str(&soft(&of_attribute(run, item, args.get(1, "attribute"))?)?);
        if out.len() > JOINED_BYTES_MAX {
            return Err(format!("join makes more than the {JOINED_BYTES_MAX} bytes that it may"));
        }
    }
    Ok(Py::str(out))
}

fn map(run: &mut Run, items: Vec<Py>, args: &Args) -> Made {
    let mut made = Vec::with_capacity(items.len());
    run.pay(items.len())?;
    if let Some(attribute) = args.named("attribute") {
        for item in items {
            let value = reached(run, &item, attribute)?;
            made.push(match args.named("default") {
                Some(default) if matches!(value, Py::Missing(_)) => default.clone(),
                _ => value,
            });
        }
        return Ok(view("generator", made));
    }
    let (name, others) = args.given.split_first().ok_or("map requires a filter argument")?;
    let name = name.as_str().ok_or("map requires a filter argument")?;
    if !super::is_known(name) {
        return Err(format!("No filter named '{name}'."));
    }
    let others = Args { given: others.to_vec(), named: args.named.clone() };
    for item in items {
        let value = filter(run, name, &item, &others)?;
        made.push(run.made(value)?);
    }
    Ok(view("generator", made))
}

/// Returns what an item is compared by: without case, unless it is asked for.
fn folded(value: Py, with_case: bool) -> Py {
    match &value {
        Py::Str(text) if !with_case => Py::str(text.to_lowercase()),
        _ => value,
    }
}

fn compared(a: &Py, b: &Py) -> Result<Ordering, String> {
    ops::compare(a, b)
        .ok_or_else(|| format!("'<' not supported between instances of '{}' and '{}'", a.type_name(), b.type_name()))
}

fn sort_by_keys(mut items: Vec<(Vec<Py>, Py)>, reverse: bool) -> Result<Vec<Py>, String> {
    let mut fault = None;
    items.sort_by(|(a, _), (b, _)| {
        for (a, b) in a.iter().zip(b) {
            match compared(a, b) {
                Ok(Ordering::Equal) => {}
                Ok(ordering) => return if reverse { ordering.reverse() } else { ordering },
                Err(message) => fault = Some(message),
            }
        }
        Ordering::Equal
    });
    fault.map_or_else(|| Ok(items.into_iter().map(|(_, item)| item).collect()), Err)
}

fn sorted(run: &mut Run, items: Vec<Py>, args: &Args) -> Made {
    run.pay(items.len())?;
    let with_case = args.get(1, "case_sensitive").is_true();
    let attributes: Vec<Py> = match args.get(2, "attribute") {
        Py::None => vec![Py::None],
        Py::Str(names) => names.split(',').map(|name| Py::str(name.trim())).collect(),
        other => vec![other.clone()],
    };
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = |attribute: &Py| of_attribute(run, item.clone(), attribute).map(|value| folded(value, with_case));
        keyed.push((attributes.iter().map(key).collect::<Result<Vec<_>, _>>()?, item));
    }
    sort_by_keys(keyed, args.get(0, "reverse").is_true()).map(Py::list)
}

fn extreme(run: &Run, name: &str, items: Vec<Py>, args: &Args) -> Made {
    let with_case = args.get(0, "case_sensitive").is_true();
    let attribute = args.get(1, "attribute");
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best: Option<(Py, Py)> = None;
    for item in items {
        let key = folded(of_attribute(run, item.clone(), attribute)?, with_case);
        let is_better = match &best {
            Some((known, _)) => compared(&key, known)? == wanted,
            None => true,
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Missing::hint("No aggregated item, sequence was empty."), |(_, item)| item))
}

fn unique(run: &mut Run, items: Vec<Py>, args: &Args) -> Made {
    let with_case = args.get(0, "case_sensitive").is_true();
    let attribute = args.get(1, "attribute");
    let (mut keys, mut kept): (Vec<Py>, Vec<Py>) = (Vec::new(), Vec::new());
    for item in items {
        run.pay(keys.len() / 8)?;
        let key = folded(of_attribute(run, item.clone(), attribute)?, with_case);
        if !keys.iter().any(|known| ops::equal(known, &key)) {
            keys.push(key);
            kept.push(item);
        }
    }
    Ok(view("generator", kept))
}

fn grouped(run: &mut Run, items: Vec<Py>, args: &Args) -> Made {
    run.pay(items.len())?;
    let attribute = args.need(0, "attribute")?;
    let default = args.given.get(1).or_else(|| args.named("default"));
    let with_case = args.get(2, "case_sensitive").is_true();
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let value = match (reached(run, &item, attribute)?, default) {
            (Py::Missing(_), Some(default)) => default.clone(),
            (value, _) => value,
        };
        keyed
            .push((vec![folded(value.clone(), with_case)], Py::tuple([folded(value.clone(), with_case), value, item])));
    }
    let mut groups: Vec<(Py, Py, Vec<Py>)> = Vec::new();
    for triple in sort_by_keys(keyed, false)? {
        let parts = triple.items().unwrap_or_default();
        let [key, shown, item] = parts.as_slice() else { continue };
        let (key, shown, item) = (key.clone(), shown.clone(), item.clone());
        match groups.last_mut().filter(|(known, ..)| ops::equal(known, &key)) {
            Some((_, _, members)) => members.push(item),
            None => groups.push((key, shown, vec![item])),
        }
    }
    let group = |(_, key, members): (Py, Py, Vec<Py>)| {
        Py::object(Named { name: "tuple", parts: vec![("grouper", key), ("list", Py::list(members))] })
    };
    Ok(Py::list(groups.into_iter().map(group)))
}

fn dict_sorted(value: &Py, args: &Args) -> Made {
    let Py::Dict(_, entries) = value else {
        return Err(format!("'{}' object has no attribute 'items'", value.type_name()));
    };
    let with_case = args.get(0, "case_sensitive").is_true();
    let by_value = match args.get(1, "by").as_str().unwrap_or("key") {
        "key" => false,
        "value" => true,
        _ => return Err("You can only sort by either \"key\" or \"value\"".into()),
    };
    let entries = entries.get();
    let keyed = entries.iter().map(|(key, value)| {
        let by = if by_value { value.clone() } else { key.0.clone() };
        (vec![folded(by, with_case)], Py::tuple([key.0.clone(), value.clone()]))
    });
    sort_by_keys(keyed.collect(), args.get(2, "reverse").is_true()).map(Py::list)
}

fn batch(items: Vec<Py>, args: &Args) -> Made {
    let size = usize::try_from(whole(args.need(0, "linecount")?)?).unwrap_or(0).max(1);
    let fill = args.get(1, "fill_with");
    let mut rows = Vec::new();
    for row in items.chunks(size) {
        let mut row = row.to_vec();
        if !matches!(fill, Py::None) && row.len() < size {
            row.resize(size.min(100_000), fill.clone());
        }
        rows.push(Py::list(row));
    }
    Ok(view("generator", rows))
}

fn sliced(items: Vec<Py>, args: &Args) -> Made {
    let count = usize::try_from(whole(args.need(0, "slices")?)?).unwrap_or(0);
    if count == 0 || count > 100_000 {
        return Err("slice needs a number of slices".into());
    }
    let fill = args.get(1, "fill_with");
    let (size, longer) = (items.len() / count, items.len() % count);
    let mut rows = Vec::with_capacity(count);
    let mut rest = items.as_slice();
    for place in 0..count {
        let (row, after) = rest.split_at(size + usize::from(place < longer));
        rest = after;
        let mut row = row.to_vec();
        if !matches!(fill, Py::None) && place >= longer && longer > 0 {
            row.push(fill.clone());
        }
        rows.push(Py::list(row));
    }
    Ok(view("generator", rows))
}

/// Chooses an item: by the event, not by chance, so that the same event gives the same request.
fn random(run: &mut Run, items: &[Py]) -> Made {
    if items.is_empty() {
        return Ok(Missing::hint("No random item, sequence was empty."));
    }
    run.drawn += 1;
    let mut hasher = DefaultHasher::new();
    (&run.names.event.id, run.drawn).hash(&mut hasher);
    let place = usize::try_from(hasher.finish() % items.len() as u64).unwrap_or(0);
    Ok(items.get(place).cloned().unwrap_or(Py::None))
}
