//! Secrets in a URL, or in the template of one: user and password, and parameters whose names look secret.

use super::{MASK, SECRET_NAMES};

/// Parts of names of parameters, in lower case, by which a value is taken for a secret beside those of headers.
const SECRET_PARTS: [&str; 3] = ["signature", "credential", "passw"];

/// Whole names of parameters that are taken likewise.
const SECRET_WORDS: [&str; 5] = ["auth", "code", "pass", "pwd", "sig"];

/// Tells whether a parameter's value is taken for a secret.
pub fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().chain(&SECRET_PARTS).any(|part| name.contains(part)) || SECRET_WORDS.contains(&&*name)
}

/// Returns a URL as it may be shown: user, password and secret parameters masked.
pub fn shown_url(url: &str) -> String {
    let Ok(shown) = with_secrets_changed(url, &mut |_| Ok::<_, std::convert::Infallible>(MASK.to_owned()));
    shown
}

/// Splits a URL around its user and password: before, them, and from the `@` on.
fn around_userinfo(url: &str) -> Option<(&str, &str, &str)> {
    let colon = url.find(':')? + 1;
    let slash = |character: char| matches!(character, '/' | '\\') || character.is_ascii_whitespace();
    // Readers of URLs forgive missing and odd slashes, so what follows them is the authority in any case.
    let rest = url.get(colon..)?;
    let authority_at = url.len() - rest.trim_start_matches(slash).len();
    let after = url.get(authority_at..)?;
    // A backslash ends the authority of a scheme of the web, and is a part of it in any other. Readers of URLs pass over
    // control characters and blanks around the scheme.
    let scheme: String = url.get(..colon)?.chars().filter(|c| !c.is_ascii_control() && *c != ' ').collect();
    let of_web = matches!(&*scheme.to_ascii_lowercase(), "http:" | "https:" | "ws:" | "wss:" | "ftp:" | "file:");
    let ends = |character: char| matches!(character, '/' | '?' | '#') || (of_web && character == '\\');
    let authority_len = after.find(ends).unwrap_or(after.len());
    let at = after.get(..authority_len)?.rfind('@')?;
    Some((url.get(..authority_at)?, after.get(..at)?, after.get(at..)?))
}

/// Splits a URL around its parameters: up to the `?` with it, them, and from the `#` on.
fn around_parameters(url: &str) -> Option<(&str, &str, &str)> {
    let whole = url.get(..url.find('#').unwrap_or(url.len()))?;
    let at = whole.find('?')? + 1;
    Some((whole.get(..at)?, whole.get(at..)?, url.get(whole.len()..)?))
}

/// Returns the name of a parameter and its value, if that is a secret.
fn secret_parameter(parameter: &str) -> Option<(&str, &str)> {
    let (name, value) = parameter.split_once('=')?;
    let decoded = url::form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
    (!value.is_empty() && is_secret_parameter(&decoded.unwrap_or_default())).then_some((name, value))
}

/// Returns the secrets of a URL in the order in which they stand there.
fn secrets_in(url: &str) -> Vec<&str> {
    let userinfo = around_userinfo(url).map(|(_, userinfo, _)| userinfo);
    let parameters = around_parameters(url).map_or("", |(_, parameters, _)| parameters);
    userinfo.into_iter().chain(parameters.split('&').filter_map(|one| Some(secret_parameter(one)?.1))).collect()
}

/// Tells whether a URL has a secret.
pub(super) fn has_secrets_in(url: &str) -> bool {
    !secrets_in(url).is_empty()
}

/// Tells whether a URL has the mask in place of a secret.
pub(super) fn has_masks(url: &str) -> bool {
    secrets_in(url).contains(&MASK)
}

/// Returns the URL with what `change` makes of each secret in its place.
pub(super) fn with_secrets_changed<E>(
    url: &str,
    change: &mut impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut url = match around_userinfo(url) {
        Some((before, userinfo, after)) => format!("{before}{}{after}", change(userinfo)?),
        None => url.to_owned(),
    };
    if let Some((before, parameters, after)) = around_parameters(&url) {
        let changed = parameters.split('&').map(|one| match secret_parameter(one) {
            Some((name, value)) => Ok(format!("{name}={}", change(value)?)),
            None => Ok(one.to_owned()),
        });
        url = format!("{before}{}{after}", changed.collect::<Result<Vec<_>, E>>()?.join("&"));
    }
    Ok(url)
}

/// Puts secrets of `stored` into `url` where that has only their masks: of several parameters with one name, the n-th gets
/// the value of the n-th. None if `stored` lacks one.
pub(super) fn with_secrets_of(url: &str, stored: &str) -> Option<String> {
    let mut url = match around_userinfo(url) {
        Some((before, MASK, after)) => format!("{before}{}{after}", around_userinfo(stored)?.1),
        _ => url.to_owned(),
    };
    if let Some((before, parameters, after)) = around_parameters(&url) {
        let kept: Vec<_> = around_parameters(stored).map_or("", |(_, kept, _)| kept).split('&').collect();
        let named = |all: &[&str], name: &str| -> Vec<String> {
            let same =
                |one: &&str| secret_parameter(one).filter(|(known, _)| *known == name).map(|(_, value)| value.into());
            all.iter().filter_map(same).collect()
        };
        let all: Vec<_> = parameters.split('&').collect();
        let merged = all.iter().enumerate().map(|(place, one)| match secret_parameter(one) {
            Some((name, MASK)) => {
                let nth = named(all.get(..place)?, name).len();
                Some(format!("{name}={}", named(&kept, name).get(nth)?))
            }
            _ => Some((*one).to_owned()),
        });
        url = format!("{before}{}{after}", merged.collect::<Option<Vec<_>>>()?.join("&"));
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn user_and_password_of_a_url_are_masked_however_it_is_spelt() {
        for (url, shown) in [
            ("https://user:pw@host/in?a=b@c", "https://********@host/in?a=b@c"),
            ("https://token@host", "https://********@host"),
            ("https:user:pw@host/", "https:********@host/"),
            ("https:/\\user:p@w@host/", "https:/\\********@host/"),
            ("https://u:p@{{ doc.host }}/x", "https://********@{{ doc.host }}/x"),
            ("https://host/@a", "https://host/@a"),
            ("https://host\\@a", "https://host\\@a"),
            ("odd://u:\\pw@host/", "odd://********@host/"),
            ("https://host?mail=a@b", "https://host?mail=a@b"),
            ("{{ doc.url }}", "{{ doc.url }}"),
        ] {
            assert_eq!(shown_url(url), shown);
            // Whatever the reader of URLs makes of it has no password left.
            let parsed = Url::parse(&shown_url(url));
            assert!(parsed.is_ok_and(|url| url.password().is_none()) || url.contains("{{"), "{url}");
        }
    }

    #[test]
    fn parameters_that_look_secret_are_masked() {
        for (url, shown) in [
            ("https://host/in?token=t-1", "https://host/in?token=********"),
            ("https://host?a=b&API_KEY=k&c=d#key=x", "https://host?a=b&API_KEY=********&c=d#key=x"),
            (
                "https://host/?X-Amz-Signature=1&X-Amz-Credential=2",
                "https://host/?X-Amz-Signature=********&X-Amz-Credential=********",
            ),
            ("https://host/?sv=1&sig=a%3D&se=2", "https://host/?sv=1&sig=********&se=2"),
            ("https://host/?to%6Ben=t", "https://host/?to%6Ben=********"),
            ("https://u:p@host/?pwd={{ doc.pwd }}", "https://********@host/?pwd=********"),
            (
                "https://host/?token=&token&design=x&signal=y&zip_code=z",
                "https://host/?token=&token&design=x&signal=y&zip_code=z",
            ),
        ] {
            assert_eq!(shown_url(url), shown);
            assert_eq!(has_secrets_in(url), url != shown, "{url}");
        }
    }

    #[test]
    fn a_mask_gives_way_to_what_is_stored() {
        let stored = "https://user:pw@host/old?key=1&a=b&key=2";
        for (url, merged) in [
            ("https://********@host/new", Some("https://user:pw@host/new")),
            ("https://host/new?x=y&key=********&key=********", Some("https://host/new?x=y&key=1&key=2")),
            ("https://host/new?key=3&key=********", Some("https://host/new?key=3&key=2")),
            ("https://host/new?token=********", None),
            ("https://host/new?key=********&key=********&key=********", None),
        ] {
            assert!(has_masks(url));
            assert_eq!(with_secrets_of(url, stored).as_deref(), merged, "{url}");
        }
        assert_eq!(with_secrets_of("https://********@host/new", "https://host/old"), None);
    }
}
