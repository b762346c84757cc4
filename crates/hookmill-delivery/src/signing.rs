//! The conventions by which receivers expect a signature, in one table.

use hookmill_core::webhook::{Secret, Signing, is_reserved_header};
use hookmill_core::{DeliveryId, Event, Explain, Webhook, WebhookError};
use http::HeaderName;
use jiff::Timestamp;

use crate::signature::{InvalidSecret, SigningSecret, check_text, hmac_sha256};

/// Signs the requests of one webhook.
#[derive(Debug, Clone)]
pub struct Signer {
    scheme: Scheme,
    header: Option<HeaderName>,
}

/// A convention with the secrets that it takes.
#[derive(Debug, Clone)]
enum Scheme {
    Standard(Vec<(Secret, SigningSecret)>),
    Github(Vec<Secret>),
    Stripe(Vec<Secret>),
    None,
}

/// A webhook can't be signed as it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A secret is not of the convention's form.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// The header can't bear a signature.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Explain for SigningError {
    fn code(&self) -> &'static str {
        match self {
            Self::Secret(error) => error.code(),
            Self::Webhook(error) => error.code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.help(),
            Self::Webhook(error) => error.help(),
        }
    }
}

impl Signer {
    /// Reads how a webhook signs.
    pub fn new(webhook: &Webhook) -> Result<Self, SigningError> {
        let texts = || {
            webhook.secrets.iter().try_for_each(|secret| check_text(&secret.text))?;
            Ok::<_, InvalidSecret>(webhook.secrets.clone())
        };
        let scheme = match webhook.signing {
            Signing::Standard => {
                let parsed = |secret: &Secret| Ok((secret.clone(), SigningSecret::parse(&secret.text)?));
                Scheme::Standard(webhook.secrets.iter().map(parsed).collect::<Result<_, InvalidSecret>>()?)
            }
            Signing::Github => Scheme::Github(texts()?),
            Signing::Stripe => Scheme::Stripe(texts()?),
            Signing::None => Scheme::None,
        };
        let named = webhook.signature_header.as_deref();
        let bad_header = |rule| WebhookError::invalid("signature_header", rule);
        if named.is_some_and(|name| is_reserved_header(name) && Some(name) != webhook.signing.header()) {
            return Err(bad_header("is a header that has another meaning").into());
        }
        let header = named.or_else(|| webhook.signing.header()).map(|name| HeaderName::from_bytes(name.as_bytes()));
        let header = header.transpose().map_err(|_| bad_header("is no name that HTTP allows"))?;
        let taken = |key: &str| header.as_ref().is_some_and(|header| key.eq_ignore_ascii_case(header.as_str()));
        if webhook.headers.iter().any(|row| taken(&row.key)) {
            return Err(WebhookError::invalid("headers", "has the header that bears the signature").into());
        }
        Ok(Self { scheme, header })
    }

    /// Returns the headers that sign this body at this moment, and those that the convention has besides.
    ///
    /// Secrets that have ended sign no more; those that sign do so in the order in which the webhook has them.
    pub fn headers(&self, id: &DeliveryId, event: &Event, now: Timestamp, body: &[u8]) -> Vec<(HeaderName, String)> {
        let (timestamp, key) = (now.as_second(), |secret: &Secret| secret.text.clone().into_bytes());
        let (value, besides) = match &self.scheme {
            Scheme::Standard(secrets) => {
                let signing = secrets.iter().filter(|(secret, _)| secret.signs_at(now));
                let entries = signing.map(|(_, key)| key.sign(&id.to_string(), timestamp, body));
                (entries.collect::<Vec<_>>().join(" "), vec![])
            }
            Scheme::Github(secrets) => {
                // Its receivers read one signature, so that of the current secret is the one.
                let current = secrets.iter().find(|secret| secret.signs_at(now)).map(key).unwrap_or_default();
                let besides = vec![
                    (HeaderName::from_static("x-github-event"), crate::percent::for_header(&event.doc_event)),
                    (HeaderName::from_static("x-github-delivery"), guid(id)),
                ];
                (format!("sha256={}", hex(&hmac_sha256(&current, &[body]))), besides)
            }
            Scheme::Stripe(secrets) => {
                let head = format!("{timestamp}.");
                let signing = secrets.iter().filter(|secret| secret.signs_at(now)).map(key);
                let entries = signing.map(|key| format!(",v1={}", hex(&hmac_sha256(&key, &[head.as_bytes(), body]))));
                (format!("t={timestamp}{}", entries.collect::<String>()), vec![])
            }
            Scheme::None => return vec![],
        };
        let signature = self.header.clone().filter(|_| !value.is_empty()).map(|header| (header, value));
        signature.into_iter().chain(besides).collect()
    }

    /// Returns the public keys that receivers may be given, in the order of the secrets.
    pub fn public_keys(&self) -> Vec<String> {
        match &self.scheme {
            Scheme::Standard(secrets) => secrets.iter().filter_map(|(_, key)| key.public_key()).collect(),
            Scheme::Github(_) | Scheme::Stripe(_) | Scheme::None => vec![],
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id's own bits, in the spelling that receivers of this convention know.
fn guid(id: &DeliveryId) -> String {
    let text = id.to_string();
    let digits = text.rsplit('_').next().unwrap_or_default();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    parts.join("-")
}
