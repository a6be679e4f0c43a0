//! HTTPS: whom a load trusts, and what to do when it does not.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Mozilla's list of authorities, as of the build.
    #[default]
    Public,
    /// That list, and the authorities in a PEM file.
    PublicAnd(PathBuf),
    /// Everybody's. For test set-ups whose certificates nobody signed: who answers is not checked.
    Insecure,
}

/// Why nothing can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities is of no use.
    #[error("the file of trusted authorities {path} cannot be used: {why}; give a PEM file with CERTIFICATE blocks")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The host is no name that a certificate could have.
    #[error("{0:?} is no host name that a certificate could have: correct the target's host header")]
    Host(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Makes encrypted connections to one host, whichever entry point they lead to.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS to the host of a `Host` header; its port, if it has one, does not matter.
    ///
    /// # Errors
    /// A [`TlsError`] that says what cannot be used.
    pub fn new(host_header: &str, trust: &Trust) -> Result<Self, TlsError> {
        let name = host_of(host_header);
        let host = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Host(name.to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        let mut config = match trust {
            Trust::Insecure => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth()
            }
            Trust::Public => builder.with_root_certificates(public_roots()).with_no_client_auth(),
            Trust::PublicAnd(path) => {
                let mut roots = public_roots();
                add_authorities(&mut roots, path)?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), host })
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// In words, what went wrong and what to do.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Result<TlsStream<S>, String> {
        let connected = self.connector.connect(self.host.clone(), stream).await;
        connected.map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &io::Error) -> String {
        let host = self.host.to_str();
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return format!("TLS: {error} during the handshake; does this entry point speak HTTPS?");
        };
        match tls {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
                "TLS: nobody who is trusted signed the certificate of {host}; \
                 give the PEM file of the authority that did, or have the shop send its whole chain"
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!("TLS: the certificate is not for {host}; correct the host header, or the certificate ({tls})"),
            rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                format!("TLS: the certificate of {host} has expired; renew it, and check this machine's clock ({tls})")
            }
            rustls::Error::InvalidMessage(_) => {
                format!("TLS: the answer of {host} is no TLS; does this entry point speak HTTPS? ({tls})")
            }
            _ => format!("TLS to {host}: {tls}"),
        }
    }
}

/// The host of a `Host` header, without port and brackets.
fn host_of(header: &str) -> &str {
    if let Some(rest) = header.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    header.split(':').next().unwrap_or_default()
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let failed = |why: String| TlsError::Authorities { path: path.display().to_string(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(failed("it has no certificate".to_owned())) } else { Ok(()) }
}

/// Trusts every certificate, and still demands that its owner has the key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("shop.example.org", "shop.example.org")]
    #[case("shop.example.org:8443", "shop.example.org")]
    #[case("127.0.0.1:80", "127.0.0.1")]
    #[case("[::1]:443", "::1")]
    fn the_host_of_a_header_has_no_port(#[case] header: &str, #[case] host: &str) {
        assert_eq!(host_of(header), host);
        assert!(Tls::new(header, &Trust::Public).is_ok());
    }

    #[test]
    fn what_cannot_be_trusted_is_said_before_the_load() {
        assert_eq!(Tls::new("a b", &Trust::Public).err(), Some(TlsError::Host("a b".to_owned())));
        let missing = Trust::PublicAnd("/nowhere/ca.pem".into());
        let error = Tls::new("shop.example.org", &missing).expect_err("there is no such file").to_string();
        assert!(error.contains("/nowhere/ca.pem") && error.contains("PEM"), "{error}");
    }
}
