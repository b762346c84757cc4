//! What arrived, in the shape and words of httpbin's `/post`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Uri, header};
use serde_json::{Map, Value, json};

pub(super) fn echo(uri: &Uri, headers: &HeaderMap, body: &[u8], origin: IpAddr) -> Value {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    // As httpbin has it: what was read as a form is not shown as data again.
    let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let (form, rest) = if is_form { (body, &[][..]) } else { (&[][..], body) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    json!({
        "args": pairs(uri.query().unwrap_or_default().as_bytes()),
        "data": data(rest),
        "files": {},
        "form": pairs(form),
        "headers": joined(headers),
        "json": serde_json::from_slice::<Value>(rest).unwrap_or(Value::Null),
        "origin": origin.to_string(),
        "url": format!("http://{host}{uri}"),
    })
}

/// Writes a body as text or, where it is none, as a data URL.
fn data(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("data:application/octet-stream;base64,{}", STANDARD.encode(body)),
    }
}

/// Reads `name=value` pairs; a name that comes twice gets a list.
fn pairs(text: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        match map.get_mut(&*name) {
            None => drop(map.insert(name.into_owned(), json!(value))),
            Some(Value::Array(values)) => values.push(json!(value)),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    map
}

/// Shows headers with capitals, in the order of their names; values of one name are joined.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(title_case(name.as_str()))
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    joined
}

fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &[u8]) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().expect("a value"));
        headers.insert("x-one", "1".parse().expect("a value"));
        headers.append("x-one", "2".parse().expect("a value"));
        echo(&"/post?a=1&a=2&b=%20".parse().expect("a URI"), &headers, body, [127, 0, 0, 1].into())
    }

    #[test]
    fn the_shape_is_httpbins() {
        assert_eq!(
            of("application/json", br#"{"a":1}"#),
            json!({
                "args": {"a": ["1", "2"], "b": " "}, "data": r#"{"a":1}"#, "files": {}, "form": {},
                "headers": {"Content-Type": "application/json", "X-One": "1,2"}, "json": {"a": 1},
                "origin": "127.0.0.1", "url": "http://localhost/post?a=1&a=2&b=%20",
            })
        );
    }

    #[test]
    fn a_form_is_no_data_and_bytes_are_a_data_url() {
        let form = of("application/x-www-form-urlencoded; charset=utf-8", b"x=1&x=2&y=z");
        assert_eq!((&form["form"], &form["data"]), (&json!({"x": ["1", "2"], "y": "z"}), &json!("")));
        let bytes = of("application/octet-stream", &[0xff, 0xfe]);
        assert_eq!(
            (&bytes["data"], &bytes["json"]),
            (&json!("data:application/octet-stream;base64,//4="), &Value::Null)
        );
    }
}
