//! What waits for one client: a queue of frames that holds a bounded amount of memory whatever the client does.
//!
//! While the client keeps up, frames are shared with all others that get them. Once it is behind, ticks and forming
//! bars are not queued any more: of each symbol only the newest is kept, and the client is told how many ticks were
//! left out when it has caught up. Closed bars and answers are always queued; when they are too many the client is
//! closed. A client that asked for ticks at intervals is treated alike, but that nothing counts as left out: of each
//! symbol the newest is kept until the interval is over.

use super::Ending;
use crate::actors::hub::frame::{self, SkippedFrame};
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::SymbolId;
use actix_web::web::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Bytes that wait above which the client counts as behind: a tenth of a second of a busy feed.
const BEHIND_BYTES: usize = 256 << 10;

/// Bytes that wait above which the client is closed: nobody who reads is that far behind.
const TOO_SLOW_BYTES: usize = 4 << 20;

/// Bytes that wait above which small frames are copied: a piece of a shared buffer keeps the whole of it.
const COPY_BYTES: usize = 16 << 10;

/// Bytes that may wait when the next part of an answer is asked for.
const MORE_BYTES: usize = 64 << 10;

/// A piece of a flush, and a copy of it for those who may hold it long, made when the first one needs it.
pub struct Piece {
    bytes: Bytes,
    is_small_part: bool,
    copy: RefCell<Option<Bytes>>,
}

impl Piece {
    /// Takes a piece of a buffer of the given length.
    #[must_use]
    pub fn new(bytes: Bytes, buffer_len: usize) -> Piece {
        let is_small_part = bytes.len() * 4 < buffer_len;
        Piece { bytes, is_small_part, copy: RefCell::new(None) }
    }

    fn to_keep(&self) -> Bytes {
        if !self.is_small_part {
            return self.bytes.clone();
        }
        self.copy.borrow_mut().get_or_insert_with(|| Bytes::copy_from_slice(&self.bytes)).clone()
    }
}

/// The newest of what was left out.
struct Newest {
    frame: Bytes,
    num_skipped: u64,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    num_bytes: usize,
    /// What is told once the queue is empty; something in it means that the client is behind.
    newest: hashbrown::HashMap<Topic, Newest>,
    is_behind: bool,
    /// The interval is over: what is kept is told as soon as the queue is empty.
    is_due: bool,
    ending: Option<Ending>,
    waker: Option<Waker>,
}

/// An answer that comes in parts: topics of all symbols of which some symbols are not shown yet.
struct CatchUp {
    request: u64,
    /// Those topics.
    of_all: Vec<Topic>,
    /// Topics of one symbol that it follows by themselves until then.
    parts: hashbrown::HashSet<Topic>,
    /// Symbols below this one were shown.
    below: SymbolId,
    /// The next part is to be asked for once this one was taken.
    wants_more: bool,
}

/// The way to one client. Lives on the client's thread.
pub struct Outlet {
    /// The session's number.
    pub id: u64,
    queue: RefCell<Queue>,
    /// When something was taken, or began to wait where nothing did.
    moved_at: Cell<Instant>,
    /// How often ticks may come; not set: all of them as they come.
    interval: Cell<Option<Duration>>,
    released_at: Cell<Instant>,
    catch_up: RefCell<Option<CatchUp>>,
}

impl Outlet {
    /// Makes an empty one.
    #[must_use]
    pub fn new(id: u64) -> Outlet {
        let now = Instant::now();
        Outlet {
            id,
            queue: RefCell::default(),
            moved_at: Cell::new(now),
            interval: Cell::new(None),
            released_at: Cell::new(now),
            catch_up: RefCell::new(None),
        }
    }

    /// Begins to follow topics of all symbols, some of which it has followed by themselves.
    pub fn begin_catch_up(&self, request: u64, of_all: Vec<Topic>, parts: Vec<Topic>) {
        let parts = parts.into_iter().collect();
        let catch_up = CatchUp { request, of_all, parts, below: SymbolId(0), wants_more: false };
        *self.catch_up.borrow_mut() = Some(catch_up);
    }

    /// Notes that symbols below this one were shown.
    pub fn catch_up_to(&self, below: SymbolId) {
        if let Some(catch_up) = &mut *self.catch_up.borrow_mut() {
            catch_up.below = below;
            catch_up.wants_more = true;
        }
    }

    /// Ends it. Returns what it followed by itself.
    pub fn end_catch_up(&self) -> Vec<Topic> {
        self.catch_up.take().map(|catch_up| catch_up.parts.into_iter().collect()).unwrap_or_default()
    }

    /// True while some symbols are not shown yet.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.catch_up.borrow().is_some()
    }

    /// True when frames of a topic are for it, as one that follows all symbols.
    #[must_use]
    pub fn takes(&self, topic: Topic) -> bool {
        let catch_up = self.catch_up.borrow();
        catch_up.as_ref().is_none_or(|catch_up| {
            !catch_up.of_all.contains(&topic.of_all())
                || (topic.symbol < catch_up.below && !catch_up.parts.contains(&topic))
        })
    }

    /// Returns the request of which the next part is to be asked for, once.
    pub fn take_wish_for_more(&self) -> Option<u64> {
        let mut catch_up = self.catch_up.borrow_mut();
        let catch_up = catch_up.as_mut().filter(|catch_up| catch_up.wants_more)?;
        if self.queue.borrow().num_bytes > MORE_BYTES {
            return None;
        }
        catch_up.wants_more = false;
        Some(catch_up.request)
    }

    /// True when not every tick is queued: the client is behind, or wants the newest at intervals.
    #[must_use]
    pub fn takes_newest(&self) -> bool {
        self.interval.get().is_some() || self.queue.borrow().is_behind
    }

    /// Has ticks come at intervals, of each symbol the newest; zero has all of them come.
    pub fn set_interval(&self, interval: Duration) {
        self.interval.set(Some(interval).filter(|interval| !interval.is_zero()));
        // What was kept so far has no other way out.
        let mut queue = self.queue.borrow_mut();
        if !queue.newest.is_empty() {
            self.note_wait(&queue);
            queue.is_due = true;
        }
    }

    /// True when ticks come at intervals.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.interval.get().is_some()
    }

    /// Lets the kept ticks go where their interval is over. Returns true when there is something to take.
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
            queue.end(Ending::Slow);
        }
        if queue.ending.is_none() && !frames.is_empty() {
            self.note_wait(&queue);
            queue.push(frames);
        }
    }

    /// To be called before something is put where nothing may wait: a quiet client has taken nothing for long, and is
    /// not to be mistaken for one that does not read.
    fn note_wait(&self, queue: &Queue) {
        if !queue.waits() {
            self.moved_at.set(Instant::now());
        }
    }

    /// Queues frames of which the newest counts, or keeps only that one. `last` is the newest frame among them, `count`
    /// how many they are.
    pub fn push_newest(&self, topic: Topic, frames: &Piece, last: &Piece, count: u64) {
        let mut queue = self.queue.borrow_mut();
        if queue.ending.is_some() {
            return;
        }
        let is_wanted_so = self.interval.get().is_some() && topic.channel == Channel::Ticks;
        if queue.is_behind || is_wanted_so {
            let frame = last.to_keep();
            let is_counted = !is_wanted_so;
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

    /// Ends the session: what waits is let go of, and the client is told why.
    pub fn end(&self, ending: Ending) {
        self.queue.borrow_mut().end(ending);
    }

    /// Ends the session behind what waits.
    pub fn end_behind(&self, ending: Ending) {
        let mut queue = self.queue.borrow_mut();
        queue.ending.get_or_insert(ending);
        queue.newest.clear();
    }

    /// Has the connection take what is there. Returns false when it is about to anyway.
    pub fn wake(&self) -> bool {
        let waker = self.queue.borrow_mut().waker.take();
        waker.map(Waker::wake).is_some()
    }

    /// Returns how the session ends, once everything before that was taken.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        let queue = self.queue.borrow();
        queue.ending.filter(|_| queue.frames.is_empty())
    }

    /// Takes the next frames; `symbol_name` names the symbols of ticks that were left out. With nothing there the
    /// waker is kept.
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

    /// True when there is something to take, or an end to be told.
    #[must_use]
    pub fn has_something(&self) -> bool {
        let queue = self.queue.borrow();
        queue.waits() || queue.ending.is_some()
    }

    /// Returns since when something waits that the client does not take.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        let queue = self.queue.borrow();
        queue.waits().then(|| self.moved_at.get())
    }

    /// Returns the bytes that it holds.
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        let queue = self.queue.borrow();
        queue.num_bytes + queue.newest.values().map(|newest| newest.frame.len()).sum::<usize>()
    }
}

impl Queue {
    /// True when there is something to take.
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

    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
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

    fn tick(text: &str) -> Piece {
        Piece::new(frame::framed(text.as_bytes()), 0)
    }

    fn texts(outlet: &Outlet) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(frames) = outlet.take(Waker::noop(), |topic| format!("S{}", topic.symbol.0)) {
            texts.push(String::from_utf8_lossy(&frames).into_owned());
        }
        texts
    }

    #[test]
    fn a_client_that_keeps_up_gets_every_frame_in_order() {
        let outlet = Outlet::new(1);
        for text in ["a", "b", "c"] {
            outlet.push_newest(topic(0), &tick(text), &tick(text), 1);
        }
        assert_eq!(texts(&outlet), ["\u{fffd}\u{1}a", "\u{fffd}\u{1}b", "\u{fffd}\u{1}c"]);
        assert!(!outlet.takes_newest());
    }

    #[test]
    fn one_that_wants_ticks_at_intervals_gets_the_newest_of_each_symbol_when_one_is_over() {
        let outlet = Outlet::new(1);
        let interval = Duration::from_millis(200);
        let begin = Instant::now() + interval;
        outlet.set_interval(interval);
        assert!(!outlet.release(begin), "nothing is there");
        for nth in 0..10_u32 {
            let newest = tick(&format!("tick {nth}"));
            outlet.push_newest(topic(nth % 2), &newest, &newest, 1);
        }
        outlet.push(Bytes::from_static(b"bar"));
        assert_eq!(texts(&outlet), ["bar"], "bars do not wait");
        assert!(outlet.release(begin));
        let first = texts(&outlet);
        assert_eq!(first.len(), 1);
        assert!(first[0].contains("tick 8") && first[0].contains("tick 9") && !first[0].contains("tick 7"));
        assert!(!first[0].contains("skipped"), "nothing was left out that was wanted");
        let newest = tick("tick 10");
        outlet.push_newest(topic(0), &newest, &newest, 1);
        assert!(!outlet.release(begin + interval / 2), "it is too soon");
        assert!(outlet.release(begin + interval));
        assert_eq!(texts(&outlet).len(), 1);
        outlet.push_newest(topic(0), &newest, &newest, 1);
        outlet.set_interval(Duration::ZERO);
        outlet.push_newest(topic(1), &newest, &newest, 1);
        assert_eq!(texts(&outlet).len(), 2, "all come again, and what was kept");
    }

    #[test]
    fn who_was_quiet_for_long_waits_only_since_something_came() {
        let later = || {
            let start = Instant::now();
            while Instant::now() <= start {}
            Instant::now()
        };
        let (outlet, tick) = (Outlet::new(1), tick("tick"));
        assert_eq!(outlet.waits_since(), None);
        let came_after = later();
        outlet.push(Bytes::from_static(b"bar"));
        let since = outlet.waits_since();
        assert!(since >= Some(came_after));
        later();
        outlet.push(Bytes::from_static(b"bar"));
        assert_eq!(outlet.waits_since(), since, "the first one waits still");
        texts(&outlet);

        outlet.set_interval(Duration::from_millis(200));
        outlet.push_newest(topic(0), &tick, &tick, 1);
        assert_eq!(outlet.waits_since(), None, "it is not time yet");
        let came_after = later();
        assert!(outlet.release(came_after + Duration::from_secs(1)));
        assert!(
            outlet.waits_since() >= Some(came_after),
            "one that does not take its newest ticks does not read"
        );
    }

    #[test]
    fn one_that_is_behind_gets_the_newest_and_a_count_and_holds_little() {
        let outlet = Outlet::new(1);
        outlet.push(Bytes::from(vec![b'x'; BEHIND_BYTES + 1]));
        for nth in 0..1_000_000_u32 {
            let newest = tick(&format!("tick {nth}"));
            outlet.push_newest(topic(nth % 2), &newest, &newest, 1);
        }
        outlet.push(Bytes::from_static(b"bar"));
        assert!(outlet.takes_newest());
        assert!(outlet.num_bytes() < BEHIND_BYTES + 100, "{}", outlet.num_bytes());
        let texts = texts(&outlet);
        assert_eq!((texts.len(), texts[1].as_str()), (3, "bar"));
        for text in
            ["\"symbol\":\"S0\",\"count\":499999", "\"S1\",\"count\":499999", "tick 999998", "tick 999999"]
        {
            assert!(texts[2].contains(text), "{text} in {}", texts[2]);
        }
        assert!(!outlet.takes_newest(), "it has caught up");
    }

    #[test]
    fn while_symbols_are_yet_to_be_shown_only_those_that_were_come_and_none_twice() {
        let outlet = Outlet::new(1);
        let bars = |symbol| Topic { channel: Channel::Bars, ..topic(symbol) };
        outlet.begin_catch_up(7, vec![topic(0).of_all()], vec![topic(1)]);
        assert!(!outlet.takes(topic(0)) && outlet.takes(bars(9)), "others go on");
        outlet.catch_up_to(SymbolId(2));
        assert!(outlet.takes(topic(0)) && !outlet.takes(topic(2)));
        assert!(!outlet.takes(topic(1)), "it comes by itself");
        outlet.push(Bytes::from(vec![b'x'; MORE_BYTES + 1]));
        assert_eq!(outlet.take_wish_for_more(), None, "it has not taken what there is");
        texts(&outlet);
        assert_eq!((outlet.take_wish_for_more(), outlet.take_wish_for_more()), (Some(7), None));
        assert_eq!(outlet.end_catch_up(), [topic(1)]);
        assert!(outlet.takes(topic(9)));
    }

    #[test]
    fn one_that_does_not_keep_up_with_bars_is_closed_and_holds_nothing() {
        let outlet = Outlet::new(1);
        for _ in 0..TOO_SLOW_BYTES / 1_000 + 2 {
            outlet.push(Bytes::from(vec![b'x'; 1_000]));
        }
        assert_eq!((outlet.ending(), outlet.num_bytes()), (Some(Ending::Slow), 0));
    }
}
