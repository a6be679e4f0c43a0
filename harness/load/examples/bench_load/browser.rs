//! How much memory a buyer in the browser takes who has a page open and reads it.
//!
//! The shop is a process of its own (`bench_load serve`), so that its memory is not ours. Its page is as large as
//! an event page of Pretix and is made of as many files of the same sizes.

use crate::measure::{Sink, rss_kb};
use crate::{CHANNEL, Failed, Place, settings, tell};
use firedrill_core::history::Event;
use firedrill_core::load::{Journey, Model};
use firedrill_core::source::Source;
use firedrill_load::journey::Script;
use firedrill_load::model::Users;
use firedrill_load::{RunClock, start_journey};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;

/// Sizes of what a page of Pretix is made of, in bytes: style sheet, script, smaller scripts, icons.
const ASSETS: [usize; 11] = [273_000, 901_000, 20_000, 3_000, 8_000, 2_000, 2_000, 4_000, 4_000, 9_000, 15_000];

/// Size of the page itself, in bytes.
const PAGE_BYTES: usize = 40_000;

/// How long all buyers may take to open the page.
const DEADLINE: Duration = Duration::from_secs(300);

/// Memory of so many buyers who have opened a page, with its assets or without, and read.
pub(crate) async fn memory(count: u32, with_assets: bool) -> Result<Value, Failed> {
    let program = std::env::current_exe()?;
    let mut shop = Command::new(program).arg("serve").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut line = String::new();
    BufReader::new(shop.stdout.take().ok_or("the shop says nothing")?).read_line(&mut line).await?;
    let target = Place::parse(&format!("http://{}/", line.trim()))?.target;
    let text = format!(
        "name: read\ndescription: Opens a page and reads.\nsteps:\n\
         - page: {{group: page, path: '/org/fair/', assets: {with_assets}}}\n\
         - wait: {{min_ms: 3600000, max_ms: 3600000}}\n"
    );
    let journey = Journey::parse(&Source::new("read.yaml", text))?;
    // As fast as the shop is on a machine that both share.
    let hatch_per_s = if with_assets { 30.0 } else { 500.0 };
    let settings = settings(Model::Closed(Users { count, hatch_per_s, rounds: 1, think_ms: 0 }), count);
    let script = Script::new(&settings, vec![(journey, 1)])?;
    let (sender, receiver) = mpsc::channel::<Event>(CHANNEL);
    let sink = Sink::nothing().start(receiver);
    let before_kb = rss_kb()?;
    let load = start_journey(&target, &settings, script, RunClock::start(), sender)?;
    let each = if with_assets { 1 + ASSETS.len() as u64 } else { 1 };
    let wanted = u64::from(count) * each;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while load.snapshot().attempts < wanted {
        if tokio::time::Instant::now() > deadline {
            return Err(format!("{} of {wanted} exchanges in {DEADLINE:?}", load.snapshot().attempts).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown_kb = rss_kb()?.saturating_sub(before_kb);
    // They would read for an hour.
    let drained = load.stop(Duration::ZERO).await;
    sink.join()?;
    let connections = if with_assets { 6 } else { 1 };
    let mut result = json!({
        "users": count,
        "connections_per_user": connections,
        "bytes_per_user": grown_kb * 1024 / u64::from(count),
        "rss_before_mb": before_kb / 1024,
    });
    tell(&mut result, &drained);
    Ok(result)
}

/// The shop: says where it is, and serves until it is ended.
pub(crate) async fn serve() -> Result<Value, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A buyer who hangs up is no error of the shop.
        tokio::spawn(async move { converse(stream).await.ok() });
    }
}

async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let page = page();
    let mut asked = Vec::with_capacity(1_024);
    while stream.read_buf(&mut asked).await? > 0 {
        if !asked.ends_with(b"\r\n\r\n") {
            continue;
        }
        let path = String::from_utf8_lossy(&asked).split(' ').nth(1).unwrap_or_default().to_owned();
        asked.clear();
        let length = path.strip_prefix("/static/").and_then(|rest| rest.split('-').next()?.parse().ok());
        let body = match length {
            Some(length) => "x".repeat(length),
            None => page.clone(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nset-cookie: pretix_csrftoken={:032}; Path=/\r\nset-cookie: pretix_session={:032}; Path=/\r\n\
             content-length: {}\r\n\r\n",
            1,
            2,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
    }
    Ok(())
}

fn page() -> String {
    let mut page = String::new();
    for (n, bytes) in ASSETS.iter().enumerate() {
        page += &format!("<script src=\"/static/{bytes}-{n}.js\"></script>");
    }
    page += "<form method=\"post\" action=\"/org/fair/cart/add?next=%2Forg%2Ffair%2F\">";
    for item in 0..10 {
        page += &format!("<input type=\"number\" name=\"item_{item}\" value=\"0\">");
    }
    page += "<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"token\"><button>Add to cart</button></form>";
    let rest = PAGE_BYTES.saturating_sub(page.len());
    page + &"<p>text</p>".repeat(rest / 11)
}
