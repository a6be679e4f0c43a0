//! One HTTP/1.1 connection, without any repetition of its own.
//!
//! Pools repeat requests behind the caller's back; here every exchange is made exactly once, and a failed
//! one says whether a byte of it had left. hyper gives an unsent request back; on top of that the bytes
//! that the kernel took are counted, which also settles a connection that broke at the first byte.

mod stream;
mod tls;

pub use tls::{Tls, TlsError, Trust};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use stream::{Metered, Stream};
use tokio::net::TcpStream;

/// What is done with the body of an answer, and how long it may be at most, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is collected: an answer of the API, a page.
    Body {
        /// Longest that is read.
        max_bytes: usize,
    },
    /// It is read and thrown away, piece by piece: a style sheet, a picture.
    Nothing {
        /// Longest that is read.
        max_bytes: usize,
    },
}

impl Keep {
    /// An answer of the API. An order of one ticket has about 4 KB.
    pub const ANSWER: Self = Self::Body { max_bytes: 256 * 1024 };
}

/// Read buffer of a connection, in bytes: hyper's smallest is 8 KB, and it grows up to this. A buyer with assets has
/// six, which stay as large as they ever were: with 64 KB each, reading a page cost more memory than all else.
const MAX_BUFFER_BYTES: usize = 16 * 1024;

/// What a record says of an exchange whose time was up.
pub(crate) const TIMEOUT: &str = "timeout";

/// Why an exchange was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its time was up.
    Timeout,
    /// The load was stopped and its deadline for operations under way has passed.
    HungUp,
}

impl Cut {
    fn text(self) -> &'static str {
        match self {
            Cut::Timeout => TIMEOUT,
            Cut::HungUp => "abandoned at the end of the load",
        }
    }
}

/// An answer, completely read.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; empty where nothing of it was to be kept.
    pub body: Bytes,
}

impl Answer {
    /// A header as text; none where it is missing or no text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An exchange without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// Whether a byte of the request left: if not, it certainly was not applied.
    pub sent: bool,
    /// HTTP status, where the answer broke off after its head.
    pub status: Option<u16>,
    /// Whether the connection had been used before: then its end says nothing about the entry point.
    pub reused: bool,
    /// What happened, in short.
    pub text: String,
}

impl Failure {
    fn not_sent(text: String) -> Self {
        Self { sent: false, status: None, reused: false, text }
    }

    /// Whether the entry point let nobody in: it could not be reached, or closed a fresh connection without a word.
    pub(crate) fn is_shut_out(&self) -> bool {
        let is_cut = [Cut::Timeout, Cut::HungUp].iter().any(|cut| self.text == cut.text());
        !self.reused && self.status.is_none() && !(self.sent && is_cut)
    }
}

type Conn = Pin<Box<Connection<TokioIo<Stream>, Full<Bytes>>>>;

/// The way to an entry point.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How it is spoken to, where that is not in the clear.
    pub tls: Option<Tls>,
}

/// One connection to an entry point.
pub struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once the connection has ended. Polled by whoever uses the link: it has no task of its own.
    conn: Option<Conn>,
    written: Arc<AtomicU64>,
    exchanges: u64,
}

impl Link {
    /// Connects, for at most `timeout` and not beyond `cut`. With TLS, the handshake is a part of it.
    ///
    /// # Errors
    /// A [`Failure`] that was not sent.
    pub async fn open(way: &Way, timeout: Duration, cut: impl Future<Output = Cut>) -> Result<Self, Failure> {
        let written = Arc::new(AtomicU64::new(0));
        let stream = tokio::select! {
            biased;
            connected = tokio::time::timeout(timeout, connect(way, Arc::clone(&written))) => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(text)) => return Err(Failure::not_sent(text)),
                Err(_) => return Err(Failure::not_sent("connect: timeout".to_owned())),
            },
            cut = cut => return Err(Failure::not_sent(format!("connect: {}", cut.text()))),
        };
        let io = TokioIo::new(stream);
        let (sender, conn) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .handshake(io)
            .await
            .map_err(|error| Failure::not_sent(format!("handshake: {error}")))?;
        Ok(Self { sender, conn: Some(Box::pin(conn)), written, exchanges: 0 })
    }

    /// Whether the connection can still be used, as far as this end knows. Looks once, without waiting.
    pub async fn is_open(&mut self) -> bool {
        if let Some(conn) = &mut self.conn {
            let ended = poll_fn(|cx| Poll::Ready(conn.as_mut().poll(cx).is_ready())).await;
            if ended {
                self.conn = None;
            }
        }
        self.conn.is_some() && !self.sender.is_closed()
    }

    /// Ends when the connection does: what an idle buyer waits for beside his next purchase.
    pub async fn closed(&mut self) {
        if let Some(conn) = &mut self.conn {
            // How it ended does not matter: nothing was under way.
            let _ = conn.await;
        }
        self.conn = None;
    }

    /// Makes one exchange, which `cut` may end.
    ///
    /// # Errors
    /// A [`Failure`]; the connection cannot be used any more then.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        keep: Keep,
        cut: impl Future<Output = Cut>,
    ) -> Result<Answer, Failure> {
        let reused = self.exchanges > 0;
        self.exchanges += 1;
        let before = self.written.load(Ordering::Relaxed);
        let mut status = None;
        let result = {
            let work = exchange(&mut self.sender, &mut self.conn, request, keep, &mut status);
            tokio::select! {
                biased;
                result = work => result,
                cut = cut => Err(Broken { handed_back: false, text: cut.text().to_owned() }),
            }
        };
        result.map_err(|broken| {
            self.conn = None;
            let written = self.written.load(Ordering::Relaxed) > before;
            Failure { sent: written && !broken.handed_back, status, reused, text: broken.text }
        })
    }
}

/// Connects; in words, why not.
async fn connect(way: &Way, written: Arc<AtomicU64>) -> Result<Stream, String> {
    let open = async {
        let stream = TcpStream::connect(way.addr).await?;
        stream.set_nodelay(true)?;
        io::Result::Ok(stream)
    };
    let stream = open.await.map_err(|error| format!("connect: {error}"))?;
    let stream = Metered::new(stream, written);
    match &way.tls {
        None => Ok(Stream::Plain(stream)),
        Some(tls) => Ok(Stream::Tls(Box::new(tls.connect(stream).await?))),
    }
}

/// What went wrong, before it is known how much was sent.
struct Broken {
    handed_back: bool,
    text: String,
}

impl Broken {
    fn new(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        if let Some(cause) = error.source() {
            text = format!("{text}: {cause}");
        }
        Self { handed_back: false, text }
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    conn: &mut Option<Conn>,
    request: Request<Full<Bytes>>,
    keep: Keep,
    status: &mut Option<u16>,
) -> Result<Answer, Broken> {
    drive(conn, sender.ready()).await.map_err(|error| Broken::new("not ready", &error))?;
    let sent = sender.try_send_request(request);
    let response = drive(conn, sent).await.map_err(|mut error| {
        let handed_back = error.take_message().is_some();
        Broken { handed_back, ..Broken::new("request", error.error()) }
    })?;
    *status = Some(response.status().as_u16());
    read(conn, response, keep).await
}

async fn read(conn: &mut Option<Conn>, response: Response<Incoming>, keep: Keep) -> Result<Answer, Broken> {
    let (head, body) = response.into_parts();
    let (Keep::Body { max_bytes } | Keep::Nothing { max_bytes }) = keep;
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| match error.is::<LengthLimitError>() {
        true => Broken { handed_back: false, text: format!("answer: longer than {max_bytes} bytes") },
        false => Broken::new("answer", error.as_ref()),
    };
    let body = match keep {
        Keep::Body { .. } => drive(conn, Limited::new(body, max_bytes).collect()).await.map_err(broken)?.to_bytes(),
        Keep::Nothing { .. } => {
            let mut body = Limited::new(body, max_bytes);
            while let Some(piece) = drive(conn, body.frame()).await {
                piece.map_err(broken)?;
            }
            Bytes::new()
        }
    };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// Polls `work` together with the connection that it depends on.
async fn drive<F: Future>(conn: &mut Option<Conn>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let Some(open) = conn else {
            return Poll::Pending;
        };
        if open.as_mut().poll(cx).is_ready() {
            // Its error reaches `work` too, with more context.
            *conn = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}
