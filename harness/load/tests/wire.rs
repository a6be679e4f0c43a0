//! One connection: how much of an answer is read, and kept.

use bytes::Bytes;
use firedrill_load::wire::{Answer, Cut, Failure, Keep, Link, Way};
use http_body_util::Full;
use hyper::{Request, header};
use rstest::rstest;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const LIMIT: usize = 100_000;

/// How a server says where its answer ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// By its length, given before.
    ByLength,
    /// By an empty piece.
    ByPiece,
    /// With the connection.
    WithConnection,
}

/// A server that answers one request with so many bytes; hands back how many it could write.
async fn serve(length: usize, ends: Ends) -> (Way, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let way = Way { addr: listener.local_addr().expect("its address"), tls: None };
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut asked).await.expect("a request");
        }
        let head = match ends {
            Ends::ByLength => format!("content-length: {length}\r\n"),
            Ends::ByPiece => "transfer-encoding: chunked\r\n".to_owned(),
            Ends::WithConnection => "connection: close\r\n".to_owned(),
        };
        let mut written = 0;
        let mut text = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
        while written < length {
            let piece = vec![b'x'; (length - written).min(10_000)];
            if matches!(ends, Ends::ByPiece) {
                text.extend(format!("{:x}\r\n", piece.len()).bytes());
            }
            text.extend(&piece);
            if matches!(ends, Ends::ByPiece) {
                text.extend(b"\r\n");
            }
            if stream.write_all(&text).await.is_err() {
                return written;
            }
            text.clear();
            written += piece.len();
        }
        if matches!(ends, Ends::ByPiece) {
            text.extend(b"0\r\n\r\n");
        }
        // The other end may have gone.
        let _ = stream.write_all(&text).await;
        if !matches!(ends, Ends::WithConnection) {
            // The other end says when it has enough.
            let _ = stream.read_buf(&mut asked).await;
        }
        written
    });
    (way, served)
}

async fn in_time() -> Cut {
    tokio::time::sleep(Duration::from_secs(20)).await;
    Cut::Timeout
}

/// Asks once; with it, whether the connection can be used again, and how much the server could write.
async fn check(length: usize, ends: Ends, keep: Keep) -> (Result<Answer, Failure>, bool, usize) {
    let (way, served) = serve(length, ends).await;
    let mut link = Link::open(&way, Duration::from_secs(5), in_time()).await.expect("a connection");
    let mut request = Request::new(Full::new(Bytes::new()));
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let answer = link.exchange(request, keep, in_time()).await;
    let is_open = link.is_open().await;
    drop(link);
    (answer, is_open, served.await.expect("the server"))
}

#[rstest]
#[tokio::test]
async fn as_much_as_the_limit_is_read(
    #[values(Ends::ByLength, Ends::ByPiece, Ends::WithConnection)] ends: Ends,
    #[values(0, 1, LIMIT)] length: usize,
) {
    let (answer, is_open, _) = check(length, ends, Keep::Body { max_bytes: LIMIT }).await;
    assert_eq!(answer.expect("an answer").body.len(), length);
    assert_eq!(is_open, !matches!(ends, Ends::WithConnection));
    let (answer, is_open, _) = check(length, ends, Keep::Nothing { max_bytes: LIMIT }).await;
    assert!(answer.expect("an answer").body.is_empty(), "it is thrown away");
    assert_eq!(is_open, !matches!(ends, Ends::WithConnection));
}

#[rstest]
#[tokio::test]
async fn beyond_the_limit_nothing_is_read(
    #[values(Ends::ByLength, Ends::ByPiece, Ends::WithConnection)] ends: Ends,
    #[values(Keep::Body { max_bytes: LIMIT }, Keep::Nothing { max_bytes: LIMIT })] keep: Keep,
) {
    let (answer, is_open, _) = check(LIMIT + 1, ends, keep).await;
    let failure = answer.expect_err("a failure");
    assert_eq!((failure.sent, failure.status), (true, Some(200)), "{failure:?}");
    assert_eq!(failure.text, format!("answer: longer than {LIMIT} bytes"));
    assert!(!is_open, "what is left of the answer must not be taken for the next one");
}

#[rstest]
#[case(Keep::Body { max_bytes: LIMIT })]
#[case(Keep::Nothing { max_bytes: LIMIT })]
#[tokio::test]
async fn an_answer_without_end_is_left_early(#[case] keep: Keep) {
    let (answer, _, written) = check(usize::MAX, Ends::ByPiece, keep).await;
    assert!(answer.is_err());
    // What the kernel holds of a connection on 127.0.0.1 is some MB.
    assert!(written < 50_000_000, "{written} bytes were taken");
}
