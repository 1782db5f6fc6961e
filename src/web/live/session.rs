//! One client: the actor that reads its messages and watches its heartbeat, and the stream that its connection sends.
//!
//! Promises: messages and frames beyond the limits are refused, and in the end close the session; a client that is
//! silent for too long is closed. However a session ends, its worker learns of it and releases what it held.

use super::Live;
use super::dispatch::refuse;
use super::gate::{Gate, Violation};
use super::handshake;
use super::limits::{MessageRate, Verdict};
use super::reasons::{CloseReason, ErrorCode};
use super::request::Refusal;
use super::send_queue::SendQueue;
use super::worker::{Worker, WorkerSlot};
use crate::actors::hub::frame::{self, ConnectionFrame, ErrorFrame};
use crate::actors::hub::messages::Presence;
use crate::web::answer::error::ApiError;
use crate::web::state::AppState;
use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_http::ws::{Codec, Item};
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};
use actix_web_actors::ws::{self, CloseCode, Message, ProtocolError, WebsocketContext};
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// Pings are spread over this many moments of the interval, since after a restart all clients connect at once.
const PING_PHASES: u32 = 64;

/// Control frames and fragments allowed for each message that is allowed.
const FRAMES_PER_MESSAGE: u32 = 20;

/// Frames sent in a row before the actor is polled again, so that the client's messages are read even while there is
/// always something to send.
const TURN: u32 = 32;

/// Opens a live session.
///
/// # Errors
/// When the request is no WebSocket handshake, or there is no live output.
pub async fn websocket(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, Error> {
    handshake::check(&request)?;
    let state = state.into_inner();
    let live = state.live.clone().ok_or_else(|| ApiError::NotFound(request.path().to_owned()))?;
    let mut response = ws::handshake(&request)?;
    let slot = request.app_data::<Rc<WorkerSlot>>().expect("every port with a WebSocket has a slot");
    let worker = slot.get(&state, &live);
    let (presence, num_before) = Presence::enter(&live.num_connections);
    let queue = worker.join(presence);
    let refusal = if live.is_stopping.load(Ordering::Acquire) {
        Some(CloseReason::Shutdown)
    } else if num_before >= live.limits.max_connections {
        let detail = format!("{} clients are connected, which is the limit", live.limits.max_connections);
        queue.push(frame::of(&ErrorFrame::new(ErrorCode::TooManyConnections.as_str(), &detail)));
        Some(CloseReason::Limit)
    } else {
        None
    };
    match refusal {
        Some(close_reason) => queue.close_after_queued(close_reason),
        None => {
            let connected = ConnectionFrame::new(state.now(), &live.epoch, &live.run, &state.provenance);
            queue.push(frame::of(&connected));
            if live.broadcast {
                worker.broadcast(queue.id);
            }
        }
    }
    let guard = Membership { worker: Rc::clone(&worker), queue: Rc::clone(&queue) };
    let max_bytes = usize::try_from(live.limits.max_message_bytes.0).unwrap_or(usize::MAX);
    let max_messages = live.limits.max_messages_per_second;
    let rate = MessageRate::new(max_messages, Instant::now());
    let frame_rate = MessageRate::new(max_messages.saturating_mul(FRAMES_PER_MESSAGE), Instant::now());
    let violation = Rc::<Cell<Option<Violation>>>::default();
    let session = Session {
        live,
        worker,
        queue,
        rate,
        frame_rate,
        violation: Rc::clone(&violation),
        heard_at: Instant::now(),
        max_bytes,
        partial: BytesMut::new(),
        is_partial_text: false,
    };
    let codec = Codec::new().max_size(max_bytes);
    let gate = Gate::new(payload, max_bytes as u64, violation);
    let actor = WebsocketContext::with_codec(session, gate, codec);
    Ok(response.streaming(Output::new(actor, guard)))
}

/// Removes the session from its worker when it ends, however it ends.
struct Membership {
    worker: Rc<Worker>,
    queue: Rc<SendQueue>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.worker.leave(self.queue.id);
    }
}

/// Reads the messages of one client.
struct Session {
    live: Arc<Live>,
    worker: Rc<Worker>,
    queue: Rc<SendQueue>,
    rate: MessageRate,
    /// Limits control frames and fragments.
    frame_rate: MessageRate,
    /// The rule that the client broke, as the gate before the codec found it.
    violation: Rc<Cell<Option<Violation>>>,
    heard_at: Instant,
    max_bytes: usize,
    /// The fragments of a message so far.
    partial: BytesMut,
    /// True when that message is text.
    is_partial_text: bool,
}

impl Session {
    fn refuse(&self, code: ErrorCode, detail: String) {
        refuse(&self.queue, &Refusal { code, detail });
    }

    fn read(&mut self, text: &[u8]) {
        match self.rate.judge(Instant::now()) {
            Verdict::Take => {}
            Verdict::Refuse => {
                let max = self.live.limits.max_messages_per_second;
                let detail = format!("more than {max} messages in a second: the rest of them is ignored");
                return self.refuse(ErrorCode::TooManyMessages, detail);
            }
            Verdict::Ignore => return,
            Verdict::Close => return self.queue.close_after_queued(CloseReason::Limit),
        }
        self.worker.receive(&self.queue, text);
    }

    /// Closes the session once nothing came from the client for too long.
    fn check_idle(&self, ctx: &mut WebsocketContext<Session>) {
        let rest = self.live.limits.idle_timeout.saturating_sub(self.heard_at.elapsed());
        if rest.is_zero() {
            self.queue.close(CloseReason::Idle);
        } else {
            ctx.run_later(rest, |session, ctx| session.check_idle(ctx));
        }
    }

    /// Counts a control frame or a fragment. Returns false when there are too many of them.
    fn takes_frame(&mut self) -> bool {
        match self.frame_rate.judge(Instant::now()) {
            Verdict::Take => true,
            Verdict::Refuse | Verdict::Ignore => false,
            Verdict::Close => {
                self.queue.close_after_queued(CloseReason::Limit);
                false
            }
        }
    }

    fn too_long(&self) {
        let detail = format!("messages have at most {} bytes", self.max_bytes);
        self.refuse(ErrorCode::MessageTooLong, detail);
        self.queue.close_after_queued(CloseReason::TooLong);
    }

    fn read_fragment(&mut self, item: Item) {
        self.is_partial_text = match item {
            Item::FirstText(_) => true,
            Item::FirstBinary(_) => false,
            Item::Continue(_) | Item::Last(_) => self.is_partial_text,
        };
        let (piece, is_last) = match item {
            Item::FirstText(piece) | Item::FirstBinary(piece) => {
                self.partial.clear();
                (piece, false)
            }
            Item::Continue(piece) => (piece, false),
            Item::Last(piece) => (piece, true),
        };
        if self.partial.len() + piece.len() > self.max_bytes {
            return self.too_long();
        }
        self.partial.extend_from_slice(&piece);
        if is_last {
            let message = self.partial.split();
            if self.is_partial_text && std::str::from_utf8(&message).is_err() {
                return self.queue.close_after_queued(CloseReason::NotText);
            }
            self.read(&message);
        }
    }
}

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let interval = self.live.limits.ping_interval;
        let phase = (self.queue.id % u64::from(PING_PHASES)) as u32 + 1;
        ctx.run_later(interval * phase / PING_PHASES, move |_, ctx| {
            ctx.ping(b"");
            ctx.run_interval(interval, |_, ctx| ctx.ping(b""));
        });
        self.check_idle(ctx);
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.heard_at = Instant::now();
        match message {
            Ok(Message::Text(text)) => self.read(text.as_bytes()),
            Ok(Message::Binary(bytes)) => self.read(&bytes),
            Ok(Message::Continuation(item)) => {
                // No fragment of a message may be left out, so too many of them close the session without a warning.
                self.takes_frame();
                self.read_fragment(item);
            }
            Ok(Message::Ping(payload)) => {
                if self.takes_frame() {
                    ctx.pong(&payload);
                }
            }
            Ok(Message::Pong(_)) => _ = self.takes_frame(),
            Ok(Message::Nop) => {}
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Err(ProtocolError::Overflow) => self.too_long(),
            Err(_) if self.violation.get() == Some(Violation::TooLong) => self.too_long(),
            // The codec gives this for a text that is not UTF-8; where the connection fails, nobody hears what is said.
            Err(ProtocolError::Io(_)) if self.violation.get().is_none() => {
                self.queue.close_after_queued(CloseReason::NotText);
            }
            Err(error) => {
                tracing::debug!(%error, "client broke the protocol");
                ctx.close(Some(CloseCode::Protocol.into()));
                ctx.stop();
            }
        }
    }

    /// The client is gone, or reading stopped because of a violation; then the close frame is on its way.
    fn finished(&mut self, ctx: &mut Self::Context) {
        if self.queue.close_reason().is_none() {
            ctx.stop();
        }
    }
}

#[derive(PartialEq, Eq)]
enum OutputState {
    Open,
    /// The actor has ended; queued frames are still sent.
    Draining,
    /// The close frame was sent.
    Ended,
}

/// The waker of the actor, which is not that of its connection. A connection is woken for frames most of the time, and
/// would poll the actor twice each time for nothing: 980 instructions or 0.17 us a poll, so 7 % of the 5 us that a
/// flush costs a session.
struct ActorWaker {
    is_woken: AtomicBool,
    connection: AtomicWaker,
}

impl Wake for ActorWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.connection.wake();
    }
}

/// The stream that the connection sends: frames of the send queue, and between them what the actor writes itself.
struct Output<S> {
    actor: Pin<Box<S>>,
    actor_waker: Arc<ActorWaker>,
    /// The same, as the actor is polled with it.
    waker: Waker,
    guard: Membership,
    /// What the actor wrote, sent after the frames queued before it.
    control: Option<Bytes>,
    turn: u32,
    state: OutputState,
}

impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Output<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let output = &mut *self;
        if output.state == OutputState::Ended {
            return Poll::Ready(None);
        }
        let is_actors_turn = output.turn.is_multiple_of(TURN);
        output.turn = output.turn.wrapping_add(1);
        if is_actors_turn {
            output.poll_actor(cx);
        }
        loop {
            let worker = &output.guard.worker;
            let frames = output.guard.queue.take(cx.waker(), |topic| worker.symbol_name(topic));
            worker.ask_for_more(&output.guard.queue);
            if let Some(frames) = frames {
                return Poll::Ready(Some(Ok(frames)));
            }
            if let Some(control) = output.control.take() {
                return Poll::Ready(Some(Ok(control)));
            }
            if let Some(close_reason) = output.guard.queue.close_reason() {
                output.state = OutputState::Ended;
                return Poll::Ready(Some(Ok(frame::close(close_reason.code(), close_reason.reason()))));
            }
            if output.state == OutputState::Draining {
                return Poll::Ready(None);
            }
            // The queue is empty: the actor may write something, or cause something to be queued.
            output.turn = 0;
            if !output.poll_actor(cx) && !output.guard.queue.has_something() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Stream<Item = Result<Bytes, Error>>> Output<S> {
    fn new(actor: S, guard: Membership) -> Output<S> {
        let actor_waker =
            Arc::new(ActorWaker { is_woken: AtomicBool::new(true), connection: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&actor_waker));
        Output {
            actor: Box::pin(actor),
            actor_waker,
            waker,
            guard,
            control: None,
            turn: 0,
            state: OutputState::Open,
        }
    }

    /// Polls the actor if it was woken. Returns true when it wrote something, or has ended.
    fn poll_actor(&mut self, cx: &mut Context<'_>) -> bool {
        if self.state != OutputState::Open || self.control.is_some() {
            return false;
        }
        self.actor_waker.connection.register(cx.waker());
        if !self.actor_waker.is_woken.swap(false, Ordering::AcqRel) {
            return false;
        }
        match self.actor.as_mut().poll_next(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Some(Ok(bytes))) => {
                // It may write more.
                self.actor_waker.is_woken.store(true, Ordering::Release);
                self.control = Some(bytes);
                true
            }
            Poll::Ready(Some(Err(_)) | None) => {
                self.state = OutputState::Draining;
                true
            }
            Poll::Pending => false,
        }
    }
}
