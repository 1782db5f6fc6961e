//! One connection to the stream of a fake venue, from the handshake to its end.

use super::dialect::{Ids, Refusal, Session};
use super::script::{Fault, Welcome};
use super::sockets::{LOOK_INTERVAL, Stream};
use super::{MarketTrade, Shared};
use std::io::{ErrorKind, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tungstenite::http::StatusCode;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message, WebSocket};

/// Trades between two heartbeats.
const HEARTBEAT_EVERY: usize = 50;

/// Pause between heartbeats when nothing trades.
const IDLE: Duration = Duration::from_millis(20);

/// Bytes of a frame that are written at once while it is sent in fragments.
const PIECE_LEN: usize = 7;

/// Why a connection ended that went well so far.
struct Ended;

/// What a fault does to the connection that it comes to.
type Outcome = tungstenite::Result<Option<Ended>>;

/// One connection.
pub(super) struct Connection<'a> {
    venue: &'a Shared,
    number: usize,
    socket: WebSocket<Stream>,
    session: Session,
    /// The place of the next trade that it says.
    next: usize,
    /// Frames that are yet to be sent in fragments.
    num_fragmented: usize,
}

/// Takes the client's wish, or answers without a WebSocket.
struct Upgrade<'a> {
    target: &'a mut String,
    refusal: Option<(&'static str, &'static str)>,
}

impl Callback for Upgrade<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        *self.target = request.uri().to_string();
        let Some((status, body)) = self.refusal else { return Ok(response) };
        let mut refused = ErrorResponse::new(Some(body.to_owned()));
        let code = status.split(' ').next().unwrap_or_default();
        *refused.status_mut() = StatusCode::from_bytes(code.as_bytes()).unwrap();
        Err(refused)
    }
}

impl<'a> Connection<'a> {
    /// Serves a client until one of both ends it.
    pub fn serve(venue: &'a Shared, number: usize, stream: Stream, welcome: Option<Welcome>) {
        let refusal = match welcome {
            Some(Welcome::RefuseKey(which)) => Some(venue.dialect.refusals()[which].clone()),
            _ => None,
        };
        let mut session = Session::default();
        let upgrade = Upgrade {
            target: &mut session.target,
            refusal: match refusal {
                Some(Refusal::Upgrade(status, body)) => Some((status, body)),
                _ => None,
            },
        };
        // A client that goes away in the middle is a part of the tests, here and below.
        let Ok(socket) = tungstenite::accept_hdr(stream, upgrade) else { return };
        socket.get_ref().tcp().set_read_timeout(Some(LOOK_INTERVAL)).unwrap();
        let mut connection = Connection { venue, number, socket, session, next: 0, num_fragmented: 0 };
        match refusal {
            Some(refusal) => connection.refuse(&refusal).ok(),
            None => connection.talk(welcome == Some(Welcome::AcceptThenKick)).ok(),
        };
    }

    fn refuse(&mut self, refusal: &Refusal) -> tungstenite::Result<()> {
        if let Refusal::Greeting(frames) = refusal {
            self.say_all(frames)?;
            return self.close(None);
        }
        let greeting = self.venue.dialect.greeting(&mut self.session);
        self.say_all(&greeting)?;
        while !self.venue.is_dropped() && self.read()?.is_none() {}
        match refusal {
            Refusal::Answer(frames) => {
                self.say_all(frames)?;
                self.close(None)
            }
            Refusal::Close(code, reason) => {
                self.close(Some(CloseFrame { code: (*code).into(), reason: (*reason).into() }))
            }
            Refusal::Greeting(_) | Refusal::Upgrade(..) => Ok(()),
        }
    }

    fn talk(&mut self, is_kicked: bool) -> tungstenite::Result<()> {
        let greeting = self.venue.dialect.greeting(&mut self.session);
        self.say_all(&greeting)?;
        let mut since_heartbeat = 0;
        while !self.venue.is_dropped() {
            if self.session.symbols.is_empty() {
                self.hear()?;
                continue;
            }
            if is_kicked {
                return self.close(None);
            }
            while let Some(fault) = self.venue.script.next(self.venue.played.load(Ordering::SeqCst)) {
                if self.go_wrong(&fault)?.is_some() {
                    return Ok(());
                }
            }
            let trade = self.next_trade();
            if let Some(trade) = trade {
                self.say_trades(&[trade])?;
                since_heartbeat += 1;
            }
            if trade.is_none() || since_heartbeat >= HEARTBEAT_EVERY {
                since_heartbeat = 0;
                self.heartbeat()?;
                self.hear()?;
                if trade.is_none() {
                    std::thread::park_timeout(IDLE);
                }
            }
        }
        Ok(())
    }

    /// Returns the next trade of this client, which happens now if it has not yet.
    fn next_trade(&mut self) -> Option<&'a MarketTrade> {
        let venue = self.venue;
        loop {
            if self.next >= venue.played.load(Ordering::SeqCst) && venue.is_heard() {
                venue.play_up_to(1, venue.is_paused_at.load(Ordering::SeqCst));
            }
            if self.next >= venue.played.load(Ordering::SeqCst) {
                return None;
            }
            let at = self.next;
            self.next += 1;
            if self.session.symbols.contains(&venue.trades[at].symbol) {
                venue.sent[at].store(true, Ordering::SeqCst);
                return Some(&venue.trades[at]);
            }
        }
    }

    /// Returns this client's share of the next so many trades.
    fn next_trades(&mut self, count: usize) -> Vec<&'a MarketTrade> {
        let venue = self.venue;
        let end = (self.next + count).min(venue.trades.len());
        venue.play(end.saturating_sub(venue.played.load(Ordering::SeqCst)));
        let own = (self.next..end).filter(|&at| self.session.symbols.contains(&venue.trades[at].symbol));
        let own: Vec<usize> = own.collect();
        self.next = end;
        own.into_iter()
            .map(|at| {
                venue.sent[at].store(true, Ordering::SeqCst);
                &venue.trades[at]
            })
            .collect()
    }

    /// Lets so many trades happen that nobody is told of.
    fn miss(&mut self, count: usize) {
        self.venue.play(count);
        self.next = (self.next + count).min(self.venue.trades.len());
    }

    fn go_wrong(&mut self, fault: &Fault) -> Outcome {
        let venue = self.venue;
        match *fault {
            Fault::Kick(count) => {
                self.settle()?;
                venue.play(count);
                self.close(None)?;
                return Ok(Some(Ended));
            }
            Fault::Cut => {
                self.settle()?;
                self.socket.get_ref().cut();
                return Ok(Some(Ended));
            }
            Fault::CutInFrame(len) => {
                self.settle()?;
                // Nobody gets it whole.
                let at = self.next;
                self.miss(1);
                let frame = venue.trades.get(at).map(|trade| venue.dialect.trades(&[trade]).concat());
                let bytes = encode(TEXT | FINAL, frame.unwrap_or_default().as_bytes());
                self.write(&bytes[..len.min(bytes.len() - 1)])?;
                self.socket.get_ref().cut();
                return Ok(Some(Ended));
            }
            Fault::Skip(count) => self.miss(count),
            Fault::Repeat(count) => {
                let from = self.next.saturating_sub(count);
                let again: Vec<&MarketTrade> = venue.trades[from..self.next]
                    .iter()
                    .filter(|trade| self.session.symbols.contains(&trade.symbol))
                    .collect();
                for trade in again {
                    self.say_trades(&[trade])?;
                }
            }
            Fault::Reorder(count) => {
                for trade in self.next_trades(count).iter().rev() {
                    self.say_trades(&[trade])?;
                }
            }
            Fault::Together(count) => {
                let trades = self.next_trades(count);
                self.say_trades(&trades)?;
                self.socket.flush()?;
            }
            Fault::Fragments(count) => self.num_fragmented = count,
            Fault::Silence(count) => {
                self.settle()?;
                self.miss(count);
                // Until the client has had enough. Its pings are answered: the machine in front of a dead feed does so.
                self.socket.flush()?;
                while !venue.is_dropped() {
                    self.read()?;
                }
            }
            Fault::Garbage(bytes) => self.socket.write(match std::str::from_utf8(bytes) {
                Ok(text) => Message::text(text),
                Err(_) => Message::binary(bytes),
            })?,
            // These the script keeps.
            Fault::Welcome(..) | Fault::Rest(..) => {}
        }
        Ok(None)
    }

    /// Waits until the client has everything said so far, where nothing but its time tells what it missed: a market that
    /// trades an hour in a second would lose minutes with the bytes that are on their way.
    fn settle(&mut self) -> tungstenite::Result<()> {
        if self.venue.dialect.ids() == Ids::Consecutive {
            return Ok(());
        }
        self.socket.send(Message::Ping("all?".into()))?;
        while !self.venue.is_dropped() {
            match self.socket.read() {
                Ok(Message::Pong(said)) if &said[..] == b"all?" => return Ok(()),
                Ok(Message::Text(said)) => self.answer(&said)?,
                Ok(_) => {}
                Err(Error::Io(error)) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn heartbeat(&mut self) -> tungstenite::Result<()> {
        let (dialect, session) = (self.venue.dialect, &self.session);
        let beats = self.venue.look(|past| dialect.heartbeat(session, past));
        self.say_all(&beats)?;
        self.settle()
    }

    fn say_trades(&mut self, trades: &[&MarketTrade]) -> tungstenite::Result<()> {
        for frame in self.venue.dialect.trades(trades) {
            self.say(&frame)?;
        }
        Ok(())
    }

    /// Says frames that are not to wait.
    fn say_all(&mut self, frames: &[String]) -> tungstenite::Result<()> {
        for frame in frames {
            self.say(frame)?;
        }
        self.socket.flush()
    }

    fn say(&mut self, frame: &str) -> tungstenite::Result<()> {
        let Some(left) = self.num_fragmented.checked_sub(1) else {
            return self.socket.write(Message::text(frame));
        };
        self.num_fragmented = left;
        let third = frame.len() / 3 + 1;
        let parts: Vec<&[u8]> = frame.as_bytes().chunks(third).collect();
        for (at, part) in parts.iter().enumerate() {
            let kind = if at == 0 { TEXT } else { CONTINUATION };
            let is_final = if at + 1 == parts.len() { FINAL } else { 0 };
            let mut bytes = encode(kind | is_final, part);
            bytes.extend(encode(PING | FINAL, b"between"));
            for piece in bytes.chunks(PIECE_LEN) {
                self.write(piece)?;
            }
        }
        Ok(())
    }

    /// Writes bytes past the library.
    fn write(&mut self, bytes: &[u8]) -> tungstenite::Result<()> {
        self.socket.flush()?;
        let stream = self.socket.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(Error::Io)
    }

    fn close(&mut self, frame: Option<CloseFrame>) -> tungstenite::Result<()> {
        self.socket.close(frame)?;
        self.socket.flush()
    }

    /// Hears what the client says, such as pings, which are answered on the way.
    fn hear(&mut self) -> tungstenite::Result<()> {
        if let Some(said) = self.read()? {
            self.answer(&said)?;
        }
        Ok(())
    }

    fn answer(&mut self, said: &str) -> tungstenite::Result<()> {
        let was_silent = self.session.symbols.is_empty();
        let (venue, session) = (self.venue, &mut self.session);
        let answers = venue.look(|past| {
            if was_silent {
                self.next = past.trades.len();
            }
            venue.dialect.hear(said, session, past)
        });
        self.say_all(&answers)?;
        venue.subscribed.lock().unwrap().insert(self.number, self.session.symbols.clone());
        if was_silent && !self.session.symbols.is_empty() {
            let beats = venue.look(|past| venue.dialect.heartbeat(&self.session, past));
            self.say_all(&beats)?;
        }
        Ok(())
    }

    /// Reads a message of the client, if there is one.
    fn read(&mut self) -> tungstenite::Result<Option<String>> {
        match self.socket.read() {
            Ok(Message::Text(said)) => Ok(Some(said.to_string())),
            Ok(_) => Ok(None),
            Err(Error::Io(error)) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// True when a read only found nothing.
pub(super) fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Bits of the first byte of a WebSocket frame (RFC 6455, section 5.2).
const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const PING: u8 = 0x9;

/// Writes a frame as a server does: without a mask.
fn encode(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    match payload.len() {
        len @ 0..=125 => bytes.push(len.to_le_bytes()[0]),
        len @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend(&len.to_be_bytes()[size_of::<usize>() - 2..]);
        }
        len => {
            bytes.push(127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}
