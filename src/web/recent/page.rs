//! The newest closed bars of one symbol and window as JSON, so that a request costs a copy.
//!
//! A page is never changed: when one bar closes, [`Page::with_newest`] makes the next page from the bytes of this one.
//! Promises: its JSON is what encoding its bars one by one gives. Nothing here fails.

use crate::models::bar::Bar;
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::web::answer::caching::hash;
use crate::wire::{self, BarObject};
use actix_web::web::Bytes;
use std::time::Instant;

/// Bars in a page: the default limit of the endpoint.
pub const NUM_RECENT: usize = 500;

/// How the bars of a page are named.
#[derive(Clone, Copy)]
pub struct Naming<'a> {
    /// The symbol.
    pub spec: &'a SymbolSpec,
    /// Name of the window's width.
    pub window: &'a str,
}

impl<'a> Naming<'a> {
    /// Makes the object of a bar.
    #[must_use]
    pub fn object(&self, bar: &Bar) -> BarObject<'a> {
        BarObject::new(bar, self.spec, self.window)
    }
}

/// The newest closed bars of one symbol and window.
pub struct Page {
    /// The snapshot's `seq` up to which it holds every bar.
    pub(super) seq: u64,
    /// False while the history had not caught up with `seq`.
    pub(super) is_whole: bool,
    /// When its bars were read from the history.
    pub(super) loaded: Instant,
    /// `[` bar `,` bar … `]`, newest first.
    body: Bytes,
    tag: u64,
    /// Where each bar ends in `body`.
    ends: Vec<u32>,
    starts: Vec<Nanos>,
    /// True when the history holds older bars.
    has_older: bool,
}

impl Page {
    /// Encodes bars that are sorted newest first.
    pub(super) fn new(seq: u64, is_whole: bool, bars: &[Bar], has_older: bool, naming: &Naming<'_>) -> Page {
        let mut body = Vec::with_capacity(2 + 384 * bars.len());
        let mut ends = Vec::with_capacity(bars.len());
        body.push(b'[');
        for (at, bar) in bars.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            wire::append_json(&naming.object(bar), &mut body);
            ends.push(offset(body.len()));
        }
        body.push(b']');
        Page {
            seq,
            is_whole,
            loaded: Instant::now(),
            tag: hash(&body),
            body: body.into(),
            ends,
            starts: bars.iter().map(|bar| bar.start).collect(),
            has_older,
        }
    }

    /// Makes the page that follows when one newer bar closes.
    pub(super) fn with_newest(&self, bar: &Bar, naming: &Naming<'_>) -> Page {
        let kept = self.ends.len().min(NUM_RECENT - 1);
        let body = self.body_after(&wire::to_json(&naming.object(bar)), kept);
        // The first bar of the old body starts behind `[`; in the new one behind `[`, the new bar and `,`.
        let first = body.len() - 1 - kept.checked_sub(1).map_or(0, |at| self.ends[at] as usize - 1);
        let new_end = if kept == 0 { first } else { first - 1 };
        let moved = self.ends[..kept].iter().map(|&end| offset(end as usize - 1 + first));
        Page {
            seq: self.seq + 1,
            is_whole: true,
            loaded: self.loaded,
            tag: hash(&body),
            ends: std::iter::once(offset(new_end)).chain(moved).collect(),
            starts: std::iter::once(bar.start).chain(self.starts[..kept].iter().copied()).collect(),
            has_older: self.has_older || self.ends.len() > kept,
            body: body.into(),
        }
    }

    /// Returns the start of the newest bar.
    #[must_use]
    pub fn newest_start(&self) -> Option<Nanos> {
        self.starts.first().copied()
    }

    /// True without any bar.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// True when there are more than the newest `count` bars, here or in the history.
    #[must_use]
    pub fn has_more(&self, count: usize) -> bool {
        self.ends.len() > count || self.has_older
    }

    /// Returns the start of the n-th newest bar, or of the last one here.
    #[must_use]
    pub fn start(&self, at: usize) -> Option<Nanos> {
        self.starts.get(at).or(self.starts.last()).copied()
    }

    /// Returns the newest `count` bars as JSON, and a hash that tells versions apart.
    #[must_use]
    pub fn body(&self, count: usize) -> (Bytes, u64) {
        if count >= self.ends.len() {
            return (self.body.clone(), self.tag);
        }
        let mut body = Vec::with_capacity(2 + self.prefix(count).len());
        body.push(b'[');
        body.extend_from_slice(self.prefix(count));
        body.push(b']');
        (body.into(), self.tag ^ (count as u64 + 1))
    }

    /// Returns one bar and the newest `count` bars behind it as JSON.
    #[must_use]
    pub fn body_after(&self, bar: &[u8], count: usize) -> Vec<u8> {
        let rest = self.prefix(count);
        let mut body = Vec::with_capacity(3 + bar.len() + rest.len());
        body.push(b'[');
        body.extend_from_slice(bar);
        if !rest.is_empty() {
            body.push(b',');
        }
        body.extend_from_slice(rest);
        body.push(b']');
        body
    }

    /// The newest `count` bars without brackets.
    fn prefix(&self, count: usize) -> &[u8] {
        match count.min(self.ends.len()).checked_sub(1) {
            Some(last) => &self.body[1..self.ends[last] as usize],
            None => &[],
        }
    }

    /// Returns the bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        self.body.len() + self.ends.len() * (size_of::<u32>() + size_of::<Nanos>()) + size_of::<Page>()
    }
}

/// Narrows an offset into a page's body to what is stored.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a page of 500 bars is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::recent::samples::bar;

    #[test]
    fn a_page_that_was_extended_is_the_page_made_at_once() {
        let spec = SymbolSpec::named("AAPL");
        let naming = Naming { spec: &spec, window: "1min" };
        let whole = |newest: i64, count: i64| -> Vec<Bar> {
            (0..=newest).rev().take(count as usize).map(bar).collect()
        };
        for num_before in [0, 1, 2, 499, 500] {
            let mut bars: Vec<Bar> = whole(num_before - 1, 500);
            let mut page = Page::new(0, true, &bars, false, &naming);
            for newest in num_before..num_before + 4 {
                page = page.with_newest(&bar(newest), &naming);
                bars = whole(newest, 500);
                let expected = Page::new(page.seq, true, &bars, num_before + 4 > 500, &naming);
                assert_eq!(page.ends, expected.ends, "{newest}");
                assert_eq!(page.starts, expected.starts);
                for count in [0, 1, 2, 499, 500, 501] {
                    assert_eq!(page.body(count), expected.body(count), "{count} of {newest}");
                }
                assert_eq!(page.has_more(500), newest >= 500);
            }
        }
    }

    #[test]
    fn a_forming_bar_stands_before_the_others() {
        let spec = SymbolSpec::named("AAPL");
        let naming = Naming { spec: &spec, window: "1min" };
        let page = Page::new(2, true, &[bar(1), bar(0)], false, &naming);
        let texts = |count| String::from_utf8(page.body_after(b"{}", count)).unwrap();
        assert_eq!(texts(0), "[{}]");
        assert!(texts(1).starts_with("[{},{\"time\":\"1970-01-01T00:02:00Z\""), "{}", texts(1));
        assert_eq!(texts(9), format!("[{{}},{}", &String::from_utf8_lossy(&page.body(9).0)[1..]));
        assert_eq!((page.start(0), page.start(7)), (Some(bar(1).start), Some(bar(0).start)));
    }
}
