//! The queue of frames that wait for one client.
//!
//! While the client keeps up, frames are shared with all other clients that get them. Once it is behind, ticks and
//! forming bars are conflated: only the newest of each symbol is kept, and once the client has caught up it is told how
//! many ticks were skipped. Closed bars and answers are always queued. A client that asked for ticks at intervals gets
//! the newest tick of each symbol per interval, and none of the others counts as skipped.
//!
//! Promises: the queue holds bounded memory whatever the client does. When closed bars and answers exceed the bound,
//! the session is closed as `slow`.

use super::reasons::CloseReason;
use crate::actors::hub::frame::{self, SkippedFrame};
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::SymbolId;
use actix_web::web::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Queued bytes above which the client counts as behind: a tenth of a second of a busy feed.
const BEHIND_BYTES: usize = 256 << 10;

/// Queued bytes above which the session is closed: no client that reads is that far behind.
const TOO_SLOW_BYTES: usize = 4 << 20;

/// Queued bytes above which small frames are copied: a slice of a shared buffer keeps the whole buffer alive.
const COPY_BYTES: usize = 16 << 10;

/// Queued bytes at most when the next part of an answer is asked for.
const MORE_BYTES: usize = 64 << 10;

/// A slice of a flush that many sessions share, and a copy of it for those that may hold it for long. The copy is made
/// when the first session needs it.
pub struct SharedFrame {
    bytes: Bytes,
    is_small_part: bool,
    copy: RefCell<Option<Bytes>>,
}

impl SharedFrame {
    /// Wraps a slice of a buffer of the given length.
    #[must_use]
    pub fn new(bytes: Bytes, buffer_len: usize) -> SharedFrame {
        let is_small_part = bytes.len() * 4 < buffer_len;
        SharedFrame { bytes, is_small_part, copy: RefCell::new(None) }
    }

    fn to_keep(&self) -> Bytes {
        if !self.is_small_part {
            return self.bytes.clone();
        }
        self.copy.borrow_mut().get_or_insert_with(|| Bytes::copy_from_slice(&self.bytes)).clone()
    }
}

/// The newest frame of a conflated topic.
struct Newest {
    frame: Bytes,
    num_skipped: u64,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    num_bytes: usize,
    /// Conflated frames, sent once the queue is empty.
    newest: hashbrown::HashMap<Topic, Newest>,
    is_behind: bool,
    /// The interval is over: the conflated frames are sent as soon as the queue is empty.
    is_due: bool,
    close_reason: Option<CloseReason>,
    waker: Option<Waker>,
}

/// A subscription to all symbols whose snapshot comes in parts, so that some symbols are not shown yet.
struct CatchUp {
    request: u64,
    /// The topics of all symbols.
    of_all: Vec<Topic>,
    /// Topics of single symbols that the session followed before; their frames come by them until the snapshot is
    /// complete.
    parts: hashbrown::HashSet<Topic>,
    /// Symbols below this one have been shown.
    below: SymbolId,
    /// The next part is asked for once this one was sent.
    wants_more: bool,
}

/// The queue of one session. It lives on the thread of the session's connection.
pub struct SendQueue {
    /// The session's number.
    pub id: u64,
    queue: RefCell<Queue>,
    /// When a frame was last taken, or the first one was put into the empty queue.
    moved_at: Cell<Instant>,
    /// The interval of ticks; `None` sends every tick at once.
    interval: Cell<Option<Duration>>,
    released_at: Cell<Instant>,
    catch_up: RefCell<Option<CatchUp>>,
}

impl SendQueue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(id: u64) -> SendQueue {
        let now = Instant::now();
        SendQueue {
            id,
            queue: RefCell::default(),
            moved_at: Cell::new(now),
            interval: Cell::new(None),
            released_at: Cell::new(now),
            catch_up: RefCell::new(None),
        }
    }

    /// Begins a subscription to all symbols; `parts` are the topics of single symbols that the session follows already.
    pub fn begin_catch_up(&self, request: u64, of_all: Vec<Topic>, parts: Vec<Topic>) {
        let parts = parts.into_iter().collect();
        let catch_up = CatchUp { request, of_all, parts, below: SymbolId(0), wants_more: false };
        *self.catch_up.borrow_mut() = Some(catch_up);
    }

    /// Records that symbols below this one have been shown.
    pub fn catch_up_to(&self, below: SymbolId) {
        if let Some(catch_up) = &mut *self.catch_up.borrow_mut() {
            catch_up.below = below;
            catch_up.wants_more = true;
        }
    }

    /// Ends the catch-up. Returns the topics of single symbols that were followed meanwhile.
    pub fn end_catch_up(&self) -> Vec<Topic> {
        self.catch_up.take().map(|catch_up| catch_up.parts.into_iter().collect()).unwrap_or_default()
    }

    /// True while some symbols have not been shown yet.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.catch_up.borrow().is_some()
    }

    /// True when a session that follows all symbols takes frames of this topic by that subscription.
    #[must_use]
    pub fn takes(&self, topic: Topic) -> bool {
        let catch_up = self.catch_up.borrow();
        catch_up.as_ref().is_none_or(|catch_up| {
            !catch_up.of_all.contains(&topic.of_all())
                || (topic.symbol < catch_up.below && !catch_up.parts.contains(&topic))
        })
    }

    /// Returns, once, the request whose next part should be asked for.
    pub fn take_continuation(&self) -> Option<u64> {
        let mut catch_up = self.catch_up.borrow_mut();
        let catch_up = catch_up.as_mut().filter(|catch_up| catch_up.wants_more)?;
        if self.queue.borrow().num_bytes > MORE_BYTES {
            return None;
        }
        catch_up.wants_more = false;
        Some(catch_up.request)
    }

    /// True when ticks are conflated: the client is behind, or asked for intervals.
    #[must_use]
    pub fn takes_newest(&self) -> bool {
        self.interval.get().is_some() || self.queue.borrow().is_behind
    }

    /// Sets the interval at which the newest tick of each symbol is sent; zero sends every tick.
    pub fn set_interval(&self, interval: Duration) {
        self.interval.set(Some(interval).filter(|interval| !interval.is_zero()));
        // Without an interval nothing else would send what was conflated so far.
        let mut queue = self.queue.borrow_mut();
        if !queue.newest.is_empty() {
            self.note_wait(&queue);
            queue.is_due = true;
        }
    }

    /// True when an interval is set.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.interval.get().is_some()
    }

    /// Marks the conflated ticks as due when the interval is over. Returns true when there is something to send.
    pub fn release(&self, now: Instant) -> bool {
        let Some(interval) = self.interval.get() else { return false };
        let mut queue = self.queue.borrow_mut();
        if queue.newest.is_empty() || now.duration_since(self.released_at.get()) < interval {
            return false;
        }
        self.released_at.set(now);
        self.note_wait(&queue);
        queue.is_due = true;
        true
    }

    /// Queues frames that must not be lost.
    pub fn push(&self, frames: Bytes) {
        let mut queue = self.queue.borrow_mut();
        if queue.num_bytes > TOO_SLOW_BYTES {
            queue.close(CloseReason::Slow);
        }
        if queue.close_reason.is_none() && !frames.is_empty() {
            self.note_wait(&queue);
            queue.push(frames);
        }
    }

    /// Starts the stall clock when the queue was empty. A client to which nothing was sent for long has taken nothing
    /// for long, and must not be taken for one that does not read.
    fn note_wait(&self, queue: &Queue) {
        if !queue.waits() {
            self.moved_at.set(Instant::now());
        }
    }

    /// Queues `count` frames of one topic, or conflates them to `last`, the newest of them.
    pub fn push_newest(&self, topic: Topic, frames: &SharedFrame, last: &SharedFrame, count: u64) {
        let mut queue = self.queue.borrow_mut();
        if queue.close_reason.is_some() {
            return;
        }
        let is_interval = self.interval.get().is_some() && topic.channel == Channel::Ticks;
        if queue.is_behind || is_interval {
            let frame = last.to_keep();
            let is_counted = !is_interval;
            let newest = queue.newest.entry(topic);
            newest
                .and_modify(|newest| {
                    newest.frame = frame.clone();
                    newest.num_skipped += if is_counted { count } else { 0 };
                })
                .or_insert(Newest { frame, num_skipped: if is_counted { count - 1 } else { 0 } });
            return;
        }
        let frames = if queue.num_bytes > COPY_BYTES { frames.to_keep() } else { frames.bytes.clone() };
        self.note_wait(&queue);
        queue.push(frames);
    }

    /// Closes the session at once: queued frames are dropped, and the client is told why.
    pub fn close(&self, close_reason: CloseReason) {
        self.queue.borrow_mut().close(close_reason);
    }

    /// Closes the session after the queued frames have been sent.
    pub fn close_after_queued(&self, close_reason: CloseReason) {
        let mut queue = self.queue.borrow_mut();
        queue.close_reason.get_or_insert(close_reason);
        queue.newest.clear();
    }

    /// Wakes the connection. Returns false when it is awake already.
    pub fn wake(&self) -> bool {
        let waker = self.queue.borrow_mut().waker.take();
        waker.map(Waker::wake).is_some()
    }

    /// Returns the close reason once everything queued before it was taken.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        let queue = self.queue.borrow();
        queue.close_reason.filter(|_| queue.frames.is_empty())
    }

    /// Takes the next frames, or stores the waker when there are none. `symbol_name` names symbols in `skipped` frames.
    pub fn take(&self, waker: &Waker, symbol_name: impl Fn(Topic) -> String) -> Option<Bytes> {
        let mut queue = self.queue.borrow_mut();
        if let Some(frames) = queue.frames.pop_front() {
            queue.num_bytes -= frames.len();
            self.moved_at.set(Instant::now());
            return Some(frames);
        }
        if queue.is_behind || queue.is_due {
            queue.is_behind = false;
            queue.is_due = false;
            self.moved_at.set(Instant::now());
            let mut frames: Vec<u8> = Vec::new();
            for (topic, newest) in queue.newest.drain() {
                if newest.num_skipped > 0 && topic.channel == Channel::Ticks {
                    let name = symbol_name(topic);
                    frames.extend_from_slice(&frame::of(&SkippedFrame::ticks(&name, newest.num_skipped)));
                }
                frames.extend_from_slice(&newest.frame);
            }
            if !frames.is_empty() {
                return Some(frames.into());
            }
        }
        if !queue.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            queue.waker = Some(waker.clone());
        }
        None
    }

    /// True when there are frames to send, or a close frame.
    #[must_use]
    pub fn has_something(&self) -> bool {
        let queue = self.queue.borrow();
        queue.waits() || queue.close_reason.is_some()
    }

    /// Returns since when the client has taken nothing although something waits.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        let queue = self.queue.borrow();
        queue.waits().then(|| self.moved_at.get())
    }

    /// Returns the bytes held.
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        let queue = self.queue.borrow();
        queue.num_bytes + queue.newest.values().map(|newest| newest.frame.len()).sum::<usize>()
    }
}

impl Queue {
    /// True when there are frames to send.
    fn waits(&self) -> bool {
        !self.frames.is_empty() || self.is_behind || self.is_due
    }

    fn push(&mut self, frames: Bytes) {
        self.num_bytes += frames.len();
        self.frames.push_back(frames);
        if self.num_bytes > BEHIND_BYTES {
            self.is_behind = true;
        }
    }

    fn close(&mut self, close_reason: CloseReason) {
        self.close_reason.get_or_insert(close_reason);
        self.frames.clear();
        self.newest.clear();
        self.num_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(symbol: u32) -> Topic {
        Topic::plain(Channel::Ticks, SymbolId(symbol))
    }

    fn tick(text: &str) -> SharedFrame {
        SharedFrame::new(frame::framed(text.as_bytes()), 0)
    }

    fn texts(queue: &SendQueue) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(frames) = queue.take(Waker::noop(), |topic| format!("S{}", topic.symbol.0)) {
            texts.push(String::from_utf8_lossy(&frames).into_owned());
        }
        texts
    }

    #[test]
    fn a_client_that_keeps_up_gets_every_frame_in_order() {
        let queue = SendQueue::new(1);
        for text in ["a", "b", "c"] {
            queue.push_newest(topic(0), &tick(text), &tick(text), 1);
        }
        assert_eq!(texts(&queue), ["\u{fffd}\u{1}a", "\u{fffd}\u{1}b", "\u{fffd}\u{1}c"]);
        assert!(!queue.takes_newest());
    }

    #[test]
    fn one_that_wants_ticks_at_intervals_gets_the_newest_of_each_symbol_when_one_is_over() {
        let queue = SendQueue::new(1);
        let interval = Duration::from_millis(200);
        let begin = Instant::now() + interval;
        queue.set_interval(interval);
        assert!(!queue.release(begin), "nothing is there");
        for nth in 0..10_u32 {
            let newest = tick(&format!("tick {nth}"));
            queue.push_newest(topic(nth % 2), &newest, &newest, 1);
        }
        queue.push(Bytes::from_static(b"bar"));
        assert_eq!(texts(&queue), ["bar"], "bars do not wait");
        assert!(queue.release(begin));
        let first = texts(&queue);
        assert_eq!(first.len(), 1);
        assert!(first[0].contains("tick 8") && first[0].contains("tick 9") && !first[0].contains("tick 7"));
        assert!(!first[0].contains("skipped"), "nothing was left out that was wanted");
        let newest = tick("tick 10");
        queue.push_newest(topic(0), &newest, &newest, 1);
        assert!(!queue.release(begin + interval / 2), "it is too soon");
        assert!(queue.release(begin + interval));
        assert_eq!(texts(&queue).len(), 1);
        queue.push_newest(topic(0), &newest, &newest, 1);
        queue.set_interval(Duration::ZERO);
        queue.push_newest(topic(1), &newest, &newest, 1);
        assert_eq!(texts(&queue).len(), 2, "all come again, and what was kept");
    }

    #[test]
    fn who_was_quiet_for_long_waits_only_since_something_came() {
        let later = || {
            let start = Instant::now();
            while Instant::now() <= start {}
            Instant::now()
        };
        let (queue, tick) = (SendQueue::new(1), tick("tick"));
        assert_eq!(queue.waits_since(), None);
        let came_after = later();
        queue.push(Bytes::from_static(b"bar"));
        let since = queue.waits_since();
        assert!(since >= Some(came_after));
        later();
        queue.push(Bytes::from_static(b"bar"));
        assert_eq!(queue.waits_since(), since, "the first one waits still");
        texts(&queue);

        queue.set_interval(Duration::from_millis(200));
        queue.push_newest(topic(0), &tick, &tick, 1);
        assert_eq!(queue.waits_since(), None, "it is not time yet");
        let came_after = later();
        assert!(queue.release(came_after + Duration::from_secs(1)));
        assert!(
            queue.waits_since() >= Some(came_after),
            "one that does not take its newest ticks does not read"
        );
    }

    #[test]
    fn one_that_is_behind_gets_the_newest_and_a_count_and_holds_little() {
        let queue = SendQueue::new(1);
        queue.push(Bytes::from(vec![b'x'; BEHIND_BYTES + 1]));
        for nth in 0..1_000_000_u32 {
            let newest = tick(&format!("tick {nth}"));
            queue.push_newest(topic(nth % 2), &newest, &newest, 1);
        }
        queue.push(Bytes::from_static(b"bar"));
        assert!(queue.takes_newest());
        assert!(queue.num_bytes() < BEHIND_BYTES + 100, "{}", queue.num_bytes());
        let texts = texts(&queue);
        assert_eq!((texts.len(), texts[1].as_str()), (3, "bar"));
        for text in
            ["\"symbol\":\"S0\",\"count\":499999", "\"S1\",\"count\":499999", "tick 999998", "tick 999999"]
        {
            assert!(texts[2].contains(text), "{text} in {}", texts[2]);
        }
        assert!(!queue.takes_newest(), "it has caught up");
    }

    #[test]
    fn while_symbols_are_yet_to_be_shown_only_those_that_were_come_and_none_twice() {
        let queue = SendQueue::new(1);
        let bars = |symbol| Topic { channel: Channel::Bars, ..topic(symbol) };
        queue.begin_catch_up(7, vec![topic(0).of_all()], vec![topic(1)]);
        assert!(!queue.takes(topic(0)) && queue.takes(bars(9)), "others go on");
        queue.catch_up_to(SymbolId(2));
        assert!(queue.takes(topic(0)) && !queue.takes(topic(2)));
        assert!(!queue.takes(topic(1)), "it comes by itself");
        queue.push(Bytes::from(vec![b'x'; MORE_BYTES + 1]));
        assert_eq!(queue.take_continuation(), None, "it has not taken what there is");
        texts(&queue);
        assert_eq!((queue.take_continuation(), queue.take_continuation()), (Some(7), None));
        assert_eq!(queue.end_catch_up(), [topic(1)]);
        assert!(queue.takes(topic(9)));
    }

    #[test]
    fn one_that_does_not_keep_up_with_bars_is_closed_and_holds_nothing() {
        let queue = SendQueue::new(1);
        for _ in 0..TOO_SLOW_BYTES / 1_000 + 2 {
            queue.push(Bytes::from(vec![b'x'; 1_000]));
        }
        assert_eq!((queue.close_reason(), queue.num_bytes()), (Some(CloseReason::Slow), 0));
    }
}
