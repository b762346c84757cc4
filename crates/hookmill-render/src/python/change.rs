//! The methods that change a list or a dictionary in place.

use super::{Args, Dict, DictKind, Key, Py, Shared, builtins, ops};

/// Items that one list or dictionary may grow to.
const ITEMS_MAX: usize = 100_000;

const OF_LISTS: [&str; 8] = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const OF_DICTS: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Tells whether a value has this method.
pub(crate) fn has(value: &Py, method: &str) -> bool {
    match value {
        Py::List(_) => OF_LISTS.contains(&method),
        Py::Dict(..) => OF_DICTS.contains(&method),
        _ => false,
    }
}

/// Calls a method that changes; none if there is no such.
pub(crate) fn call(value: &Py, method: &str, args: &Args) -> Option<Result<Py, String>> {
    if !has(value, method) {
        return None;
    }
    Some(match value {
        Py::List(items) => of_list(items, method, args),
        Py::Dict(kind, entries) => of_dict(entries, method, args).map(|made| match made {
            Some(made) => made,
            None if *kind == DictKind::Frappe => value.clone(),
            None => Py::None,
        }),
        _ => Ok(Py::None),
    })
}

fn of_list(list: &Shared<Vec<Py>>, method: &str, args: &Args) -> Result<Py, String> {
    let first = || args.given.first().ok_or_else(|| format!("{method}() takes an argument"));
    let length = list.get().len();
    let grown = |by: usize| if length + by > ITEMS_MAX { Err("the list is too large".to_owned()) } else { Ok(()) };
    match method {
        "append" => {
            let item = first()?.clone();
            grown(1)?;
            list.change(|items| items.push(item));
        }
        "extend" => {
            let more = first()?.iterate()?;
            grown(more.len())?;
            list.change(|items| items.extend(more));
        }
        "insert" => {
            let at = ops::integer(first()?).ok_or("insert() needs a place")?;
            let item = args.need(1, "object")?.clone();
            grown(1)?;
            let at = if at < 0 { at + length as i128 } else { at };
            let at = usize::try_from(at).unwrap_or(0).min(length);
            list.change(|items| items.insert(at, item));
        }
        "pop" => {
            let at = args.given.first().map_or(Ok(-1), |at| ops::integer(at).ok_or("pop() needs a place"))?;
            let at = super::methods::place(at, length);
            let empty = if length == 0 { "pop from empty list" } else { "pop index out of range" };
            let at = at.ok_or(empty)?;
            return Ok(list.change(|items| items.remove(at)));
        }
        "remove" => {
            let wanted = first()?;
            let at = list.get().iter().position(|item| ops::equal(item, wanted));
            let at = at.ok_or("list.remove(x): x not in list")?;
            list.change(|items| items.remove(at));
        }
        "reverse" => list.change(|items| items.reverse()),
        "sort" => {
            let mut items = list.get().as_ref().clone();
            builtins::sort(&mut items)?;
            if args.named("reverse").is_some_and(Py::is_true) {
                items.reverse();
            }
            list.change(|old| *old = items);
        }
        _ => list.change(Vec::clear),
    }
    Ok(Py::None)
}

/// Returns none of `update`, which gives the dictionary itself if it is Frappe's.
fn of_dict(dict: &Shared<Dict>, method: &str, args: &Args) -> Result<Option<Py>, String> {
    let key = || Key::of(args.need(0, "key")?);
    if dict.get().len() + args.named.len() > ITEMS_MAX {
        return Err("the dictionary is too large".into());
    }
    Ok(Some(match method {
        "update" => {
            let more = match args.given.first() {
                None => Dict::new(),
                Some(Py::Dict(_, other)) => other.get().as_ref().clone(),
                Some(pairs) => builtins::pairs(pairs)?,
            };
            let named = args.named.iter().map(|(name, value)| (Key::text(name.as_str()), value.clone()));
            dict.change(|entries| entries.extend(more.into_iter().chain(named)));
            return Ok(None);
        }
        "setdefault" => {
            let (key, value) = (key()?, args.get(1, "default").clone());
            dict.change(|entries| entries.entry(key).or_insert(value).clone())
        }
        "pop" => {
            let key = key()?;
            let otherwise = args.given.get(1).cloned();
            let popped = dict.change(|entries| entries.shift_remove(&key));
            popped.or(otherwise).ok_or_else(|| key.0.repr())?
        }
        "popitem" => {
            let popped = dict.change(Dict::pop).ok_or("popitem(): dictionary is empty")?;
            Py::tuple([popped.0.0, popped.1])
        }
        _ => {
            dict.change(Dict::clear);
            Py::None
        }
    }))
}
