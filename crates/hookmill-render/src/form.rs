//! Bodies as `application/x-www-form-urlencoded`.

use crate::python::Py;

/// The content type of such a body.
pub(crate) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Writes the members of an object as `name=value` pairs.
///
/// Text stands as it is, null as nothing, numbers and booleans as JSON spells them, and lists and objects as their JSON:
/// a form has no notation of its own for what is inside of something.
pub(crate) fn encode<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, json) in members {
        match Py::loads(json) {
            Ok(Py::Str(text)) => form.append_pair(name, &text),
            Ok(Py::None) => form.append_pair(name, ""),
            _ => form.append_pair(name, &hookmill_core::json::compact(json)),
        };
    }
    form.finish()
}

/// Writes the members of a JSON object as `name=value` pairs.
pub(crate) fn of_object(json: &str) -> Result<String, serde_json::Error> {
    let fields = hookmill_core::json::Fields::parse(json)?;
    Ok(encode(fields.iter().map(|(name, value)| (name, value.get()))))
}
