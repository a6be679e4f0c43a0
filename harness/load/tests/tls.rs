//! HTTPS: who is trusted, who is not, and what is said about it.

mod support;

use firedrill_core::history::{Attempt, Outcome};
use firedrill_core::ids::{OpId, RunId};
use firedrill_load::{Entry, OrderCodes, PROBE_OPS_FROM, RunClock, Scheme, Settings, Target, Trust, purchase_once};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::{Shop, attempts, collect, settings, start, target, until};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// The only host that the shop's certificate is for.
const HOST: &str = "shop.test";

/// A shop behind TLS, and the authority that signed its certificate.
struct Secured {
    shop: Shop,
    addr: SocketAddr,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

impl Secured {
    async fn open(is_expired: bool) -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().expect("a key");
        let ca_cert = ca.self_signed(&ca_key).expect("an authority");
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).expect("parameters");
        if is_expired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, ca_cert.pem()).expect("written");
        let shop = Shop::open([]).await;
        let addr = terminate(cert.der().clone(), &key, shop.addr).await;
        Self { shop, addr, authority, _folder: folder }
    }

    fn target(&self, host: &str, trust: Trust) -> Target {
        let plain = target(&[("web-1", self.addr)]);
        let entries = plain.entries.into_iter().map(|entry| Entry { scheme: Scheme::Https, ..entry }).collect();
        Target { entries, host_header: host.to_owned(), trust, ..plain }
    }

    async fn buy(&self, host: &str, trust: Trust) -> Attempt {
        buy_at(&self.target(host, trust)).await
    }
}

async fn buy_at(target: &Target) -> Attempt {
    let codes = OrderCodes::new(1, &RunId::new("tls"));
    let deadline = Duration::from_secs(10);
    let op = OpId(PROBE_OPS_FROM);
    purchase_once(target, &target.entries[0], &codes, op, &RunClock::start(), deadline).await.expect("a sound target")
}

/// Takes TLS off, as a proxy before a shop does.
async fn terminate(cert: rustls::pki_types::CertificateDer<'static>, key: &KeyPair, shop: SocketAddr) -> SocketAddr {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![cert], key).expect("a certificate")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let Ok(mut inner) = TcpStream::connect(shop).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    addr
}

#[derive(Debug, Clone, Copy)]
enum Trusting {
    TheAuthority,
    Public,
    Everybody,
}

#[rstest]
#[case::trusted(HOST, Trusting::TheAuthority)]
#[case::trusted_with_a_port("shop.test:8443", Trusting::TheAuthority)]
#[case::insecure(HOST, Trusting::Everybody)]
#[case::insecure_does_not_look_at_the_name("other.test", Trusting::Everybody)]
#[tokio::test]
async fn who_is_trusted_is_bought_from(#[case] host: &str, #[case] trusting: Trusting) {
    let secured = Secured::open(false).await;
    let attempt = secured.buy(host, trust(&secured, trusting)).await;
    assert_eq!(attempt.outcome, Outcome::Acknowledged, "{attempt:?}");
    assert_eq!(secured.shop.orders(), 1);
}

#[rstest]
#[case::stranger(
    HOST,
    Trusting::Public,
    false,
    "nobody who is trusted signed the certificate of shop.test; give the PEM"
)]
#[case::wrong_name(
    "other.test",
    Trusting::TheAuthority,
    false,
    "the certificate is not for other.test; correct the host"
)]
#[case::expired(HOST, Trusting::TheAuthority, true, "the certificate of shop.test has expired; renew it")]
#[tokio::test]
async fn who_is_not_trusted_is_sent_nothing(
    #[case] host: &str,
    #[case] trusting: Trusting,
    #[case] is_expired: bool,
    #[case] why: &str,
) {
    let secured = Secured::open(is_expired).await;
    let attempt = secured.buy(host, trust(&secured, trusting)).await;
    assert_eq!(attempt.outcome, Outcome::NotSent, "{attempt:?}");
    let error = attempt.error.expect("a reason");
    assert!(error.contains(why), "{error}");
    assert_eq!((secured.shop.requests(), secured.shop.connections()), (0, 0));
}

#[tokio::test]
async fn an_entry_point_that_speaks_no_tls_is_named_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let plain = target(&[("web-1", addr)]);
    let entries = vec![Entry { scheme: Scheme::Https, ..plain.entries[0].clone() }];
    let attempt = buy_at(&Target { entries, ..plain }).await;
    assert_eq!(attempt.outcome, Outcome::NotSent);
    let error = attempt.error.expect("a reason");
    assert!(error.contains("does this entry point speak HTTPS?"), "{error}");
}

#[tokio::test]
async fn a_load_keeps_its_encrypted_connections() {
    let secured = Secured::open(false).await;
    let (tx, rx) = mpsc::channel(1_000);
    let settings = Settings { model: support::at(50.0), buyers: 4, attempt_timeout_ms: 5_000, ..settings() };
    let target = secured.target(HOST, Trust::PublicAnd(secured.authority.clone()));
    let load = start(&target, &settings, RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("purchases", || view.snapshot().acknowledged >= 20).await;
    load.stop(Duration::from_secs(5)).await;
    let attempts = attempts(&collect(rx));
    assert!(attempts.iter().all(|attempt| attempt.outcome == Outcome::Acknowledged), "{attempts:?}");
    assert_eq!(secured.shop.connections(), 4);
}

fn trust(secured: &Secured, trusting: Trusting) -> Trust {
    match trusting {
        Trusting::TheAuthority => Trust::PublicAnd(secured.authority.clone()),
        Trusting::Public => Trust::Public,
        Trusting::Everybody => Trust::Insecure,
    }
}
