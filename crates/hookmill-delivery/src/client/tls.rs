//! Whom the client trusts, and what it shows of itself, when a connection is secured.

use std::sync::Arc;

use hookmill_core::Explain;
use hookmill_core::webhook::Mtls;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder};
use rustls_platform_verifier::Verifier;

/// A webhook's client certificate can't be used.
#[derive(Debug, thiserror::Error)]
#[error("`{field}` can't be used: {cause}")]
pub struct InvalidCertificate {
    field: &'static str,
    cause: String,
}

impl Explain for InvalidCertificate {
    fn code(&self) -> &'static str {
        "webhook_bad_certificate"
    }

    fn help(&self) -> Option<String> {
        Some("give certificates and an unencrypted private key in PEM, with their BEGIN and END lines".into())
    }
}

/// Trusts the system's authorities and shows no certificate.
pub(super) fn anonymous() -> Result<ClientConfig, rustls::Error> {
    Ok(speaking_http(trusting(vec![])?.with_no_client_auth()))
}

/// Shows a webhook's certificate, and trusts its authorities besides the system's.
pub(super) fn showing(mtls: &Mtls) -> Result<ClientConfig, InvalidCertificate> {
    let invalid = |field, cause: &dyn ToString| InvalidCertificate { field, cause: cause.to_string() };
    // What a parser says is left out: it might quote the key.
    let key = PrivateKeyDer::from_pem_slice(mtls.private_key_pem.as_bytes())
        .map_err(|_| invalid("auth.mtls", &"it has no private key in PEM"))?;
    let own = certificates(&mtls.certificate_pem).map_err(|cause| invalid("auth.mtls", &cause))?;
    let authorities = mtls.ca_pem.as_deref().map_or(Ok(vec![]), certificates);
    let authorities = authorities.map_err(|cause| invalid("auth.mtls.ca_pem", &cause))?;
    trusting(authorities)
        .map_err(|error| invalid("auth.mtls.ca_pem", &error))?
        .with_client_auth_cert(own, key)
        .map(speaking_http)
        .map_err(|error| invalid("auth.mtls", &error))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or("it has no certificate in PEM")
}

fn trusting(
    authorities: Vec<CertificateDer<'static>>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

fn speaking_http(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    config
}
