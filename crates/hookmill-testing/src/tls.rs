//! Certificates for receivers and callers, from an authority that exists for one test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority of its own.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, in PEM.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate_pem: String,
    /// The key.
    pub private_key_pem: String,
}

impl Authority {
    /// Makes one.
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Returns its own certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Vouches for a name or an address.
    pub fn certify(&self, name: &str) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certified { certificate_pem: certificate.pem(), private_key_pem: key.serialize_pem() }
    }

    /// Makes what a receiver on 127.0.0.1 accepts TLS with; callers must have a certificate of `callers`, if given.
    pub(crate) fn acceptor(&self, callers: Option<&Self>) -> TlsAcceptor {
        let Certified { certificate_pem, private_key_pem } = self.certify("127.0.0.1");
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(private_key_pem.as_bytes()).expect("a key");
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.expect("versions that the provider has");
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(callers) => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(callers.pem.as_bytes()).expect("a certificate");
                roots.add(root).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).expect("a fitting key")))
    }

    /// The same for whoever speaks HTTP/2, and nobody else.
    pub(crate) fn http2_acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::clone(self.acceptor(None).config());
        config.alpn_protocols = vec!["h2".into()];
        TlsAcceptor::from(Arc::new(config))
    }
}
