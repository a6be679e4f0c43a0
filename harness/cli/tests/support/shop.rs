//! A shop in a thread: as much of the order API as a buyer hears, and one thing that is wrong with it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the shop is like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// It sells.
    Sells,
    /// It has nothing left.
    SoldOut,
    /// It answers everything with this status.
    Refuses(u16),
    /// It takes its time for every order.
    Slow(Duration),
    /// It hangs up for ever after so many orders: connections end, new ones too.
    GoneAfter(u64),
}

/// A shop. Its thread ends with the process.
pub(crate) struct Shop {
    addr: SocketAddr,
    sold: Arc<AtomicU64>,
}

impl Shop {
    pub(crate) fn open(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let sold = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&sold);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                // A connection that the buyer ends is no failure of the shop.
                std::thread::spawn(move || serve(&stream, mood, &counter).ok());
            }
        });
        Self { addr, sold }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn sold(&self) -> u64 {
        self.sold.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, mood: Mood, sold: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader)? {
        let (status, text) = match mood {
            Mood::GoneAfter(most) if sold.load(Ordering::SeqCst) >= most => return Ok(()),
            Mood::Refuses(status) => (status, r#"{"detail":"No."}"#.to_owned()),
            _ if head.starts_with("GET /api/v1/organizers/org/events/fair/items/5/") => {
                (200, r#"{"id":5,"active":true,"default_price":"23.00"}"#.to_owned())
            }
            _ if head.starts_with("GET ") => (404, r#"{"detail":"Not found."}"#.to_owned()),
            Mood::SoldOut => (400, r#"{"positions":[{"item":["There is not enough quota available on quota \"q\" to perform the operation."]}]}"#.to_owned()),
            _ => {
                if let Mood::Slow(time) = mood {
                    std::thread::sleep(time);
                }
                sold.fetch_add(1, Ordering::SeqCst);
                (201, order(&body))
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        (&*stream).write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// The order that was asked for, as the shop confirms it.
fn order(body: &[u8]) -> String {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let position = serde_json::json!({"id": 1, "item": 5, "price": "23.00", "secret": format!("s{}", asked["code"])});
    serde_json::json!({
        "code": asked["code"], "secret": "x", "status": "n", "total": "23.00", "email": asked["email"],
        "positions": [position],
    })
    .to_string()
}

/// Request line and body; none where the buyer has hung up.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first, body)))
}
