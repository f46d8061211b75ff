//! Trusting exactly one certificate.

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use std::sync::Arc;

/// A client that talks to the owner of this certificate's key and to nobody else. Names, dates and authorities mean nothing here: the
/// certificate was made for one sandbox and lives as long as it does.
pub(crate) fn client(certificate: CertificateDer<'static>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let pinned = Pinned {
        certificate,
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if end_entity.as_ref() == self.certificate.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::{ClientHello, ResolvesServerCert},
        sign::{self, SigningKey},
        version::TLS12,
    };
    use std::io;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    fn identity() -> CertifiedKey<KeyPair> {
        generate_simple_self_signed(["lab-agent".to_owned()]).unwrap()
    }

    fn signing_key(key: &KeyPair) -> Arc<dyn SigningKey> {
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ring::sign::any_supported_type(&der).unwrap()
    }

    /// Shows a certificate whose key it need not have.
    #[derive(Debug)]
    struct Shows(Arc<sign::CertifiedKey>);

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// How a client that knows `pinned` fares with a server that shows `shown` and signs with `signs`.
    async fn meet(
        pinned: &CertifiedKey<KeyPair>,
        (shown, signs): (&CertifiedKey<KeyPair>, &CertifiedKey<KeyPair>),
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> io::Result<()> {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let chain = vec![shown.cert.der().clone()];
        // not checked against each other, as a thief would not
        let key = Arc::new(sign::CertifiedKey::new(chain, signing_key(&signs.signing_key)));
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(key)));
        let client = TlsConnector::from(Arc::new(client(pinned.cert.der().clone()).unwrap()));
        let name = ServerName::try_from("whatever").unwrap();
        let accepting = TlsAcceptor::from(Arc::new(server));
        let (met, _) = tokio::join!(client.connect(name, near), accepting.accept(far));
        met.map(drop)
    }

    #[tokio::test]
    async fn only_the_owner_of_the_one_certificate_is_talked_to() {
        let (agent, other) = (identity(), identity());
        meet(&agent, (&agent, &agent), &[&TLS13]).await.unwrap();
        let stranger = meet(&agent, (&other, &other), &[&TLS13]).await.unwrap_err();
        assert!(
            stranger.to_string().contains("ApplicationVerificationFailure"),
            "{stranger}"
        );
        let thief = meet(&agent, (&agent, &other), &[&TLS13]).await.unwrap_err();
        assert!(thief.to_string().contains("BadSignature"), "{thief}");
    }

    #[tokio::test]
    async fn nothing_older_than_tls_1_3_is_spoken() {
        let agent = identity();
        meet(&agent, (&agent, &agent), &[&TLS12]).await.unwrap_err();
    }
}
