//! The clients: all of them in one thread, which counts what they get and looks how old it is.

use super::Case;
use hdrhistogram::Histogram;
use serde_json::json;
use std::cell::RefCell;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::time::Nanos;
use tokio::io::AsyncReadExt;

/// One frame in this many has its age looked at, where there are many.
const SAMPLE: u64 = 16;

/// What the clients are told, and what they count.
#[derive(Default)]
pub struct Shared {
    pub frames: AtomicU64,
    /// Bytes of their payloads.
    pub bytes: AtomicU64,
    pub skipped: AtomicU64,
    /// Which phase it is; 0 is before the first.
    pub phase: AtomicUsize,
    /// Clients numbered below this do not read any more.
    pub num_stopped: AtomicUsize,
    pub is_over: AtomicBool,
}

/// Microseconds from a tick's event to its reading, by phase.
pub type Ages = Vec<Histogram<u64>>;

fn note_age(ages: &mut Histogram<u64>, payload: &[u8]) {
    let text = std::str::from_utf8(payload).unwrap();
    let time = text.split("\"timestamp\":\"").nth(1).and_then(|rest| rest.split('"').next());
    if let Some(time) = time.and_then(Nanos::from_rfc3339) {
        ages.saturating_record(SystemClock.now().since(time).max(0) as u64 / 1_000);
    }
}

/// Connects a client that asks for symbols.
pub fn subscribe(address: SocketAddr, case: &Case, symbols: &[String]) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    let request =
        json!({"type": "subscribe", "symbols": symbols, "channels": [case.channel], "forming": false});
    socket.send(tungstenite::Message::text(request.to_string())).unwrap();
    socket.get_ref().try_clone().unwrap()
}

/// An answer to the server's question whether the client is there: a masked pong without a payload.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// Reads frames until it is over, or the client is one that stops: its connection stays open.
async fn read(
    number: usize,
    stream: &mut tokio::net::TcpStream,
    shared: Arc<Shared>,
    ages: Rc<RefCell<Ages>>,
) {
    let (mut buffer, mut filled) = (vec![0_u8; 1 << 16], 0);
    while number >= shared.num_stopped.load(Ordering::Relaxed) {
        let count = stream.read(&mut buffer[filled..]).await.unwrap_or(0);
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        assert!(count > 0, "the session goes on");
        filled += count;
        let (mut at, mut frames, mut bytes) = (0, 0, 0);
        let phase = shared.phase.load(Ordering::Relaxed);
        while let Some((header, len)) = frame_at(&buffer[at..filled]) {
            let (kind, payload) = (buffer[at], &buffer[at + header..at + header + len]);
            at += header + len;
            if kind == 0x89 {
                stream.try_write(&PONG).unwrap();
                continue;
            }
            frames += 1;
            bytes += len as u64;
            if payload.starts_with(b"{\"type\":\"skipped\"") {
                shared.skipped.fetch_add(1, Ordering::Relaxed);
            } else if (shared.frames.load(Ordering::Relaxed) + frames).is_multiple_of(SAMPLE) {
                note_age(&mut ages.borrow_mut()[phase], payload);
            }
        }
        shared.frames.fetch_add(frames, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// Returns the lengths of the header and of the payload of a whole frame.
fn frame_at(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header, len) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => (2, usize::from(len)),
    };
    (bytes.len() >= header + len).then_some((header, len))
}

/// Lets everything else go before this thread: elsewhere clients would not take the server's processor time. Being nice
/// is not enough, since a nice thread still gets whole slices of some milliseconds.
fn step_back() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let idle = Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status();
    if !idle.is_ok_and(|status| status.success()) {
        rustix::process::nice(19).unwrap();
    }
}

/// Runs the clients in this thread until it is over. With a pause they look only so often whether there is something.
pub fn run(streams: Vec<TcpStream>, num_phases: usize, pause: Duration, shared: &Arc<Shared>) -> Ages {
    step_back();
    let ages: Ages = (0..num_phases).map(|_| Histogram::new_with_max(60_000_000, 3).unwrap()).collect();
    let ages = Rc::new(RefCell::new(ages));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let start = |(number, stream): (usize, TcpStream)| {
            let (shared, ages) = (Arc::clone(shared), Rc::clone(&ages));
            stream.set_nonblocking(true).unwrap();
            let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
            tokio::task::spawn_local(async move {
                read(number, &mut stream, shared, ages).await;
                stream
            })
        };
        if !pause.is_zero() {
            tokio::task::spawn_local(async move {
                loop {
                    std::thread::sleep(pause);
                    tokio::task::yield_now().await;
                }
            });
        }
        let tasks: Vec<_> = streams.into_iter().enumerate().map(start).collect();
        let mut streams = Vec::new();
        for task in tasks {
            streams.push(task.await.unwrap());
        }
    });
    Rc::into_inner(ages).unwrap().into_inner()
}
