//! What a feed follows while it runs: symbols are added and left without a new connection.
//!
//! Promises: a symbol keeps its place, also while it is not followed; whoever is told of a change never waits. Nothing here
//! fails.

use super::super::venue::{Instrument, Instruments};
use crate::models::symbol::SymbolId;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// A change of what is followed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Symbols are followed from now on.
    Follow(Vec<Instrument>),
    /// Symbols are followed no more.
    Leave(Vec<SymbolId>),
}

/// Changes that a feed has not taken yet. It stays on the feed's thread, and the feed takes them at once, so there are never
/// more than came at one moment.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: RefCell<Vec<Change>>,
    added: Notify,
}

impl Changes {
    /// Has the feed change what it follows.
    pub fn push(&self, change: Change) {
        self.waiting.borrow_mut().push(change);
        self.added.notify_one();
    }

    /// Waits for changes, and takes them.
    pub(super) async fn next(&self) -> Vec<Change> {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
            if !waiting.is_empty() {
                return waiting;
            }
            self.added.notified().await;
        }
    }
}

/// The instruments of a feed.
#[derive(Debug)]
pub(super) struct Followed {
    all: RefCell<Rc<Instruments>>,
    /// By place: it is not followed any more.
    is_left: RefCell<Vec<bool>>,
    num_followed: Cell<usize>,
}

impl Followed {
    pub fn new(instruments: Instruments) -> Followed {
        let len = instruments.all().len();
        Followed {
            all: RefCell::new(Rc::new(instruments)),
            is_left: RefCell::new(vec![false; len]),
            num_followed: Cell::new(len),
        }
    }

    /// Returns every instrument that was followed since the start, by place.
    pub fn now(&self) -> Rc<Instruments> {
        Rc::clone(&self.all.borrow())
    }

    /// Returns the instrument at a place.
    pub fn at(&self, place: usize) -> Instrument {
        self.all.borrow().all()[place].clone()
    }

    /// Returns the id of the symbol at a place.
    pub fn symbol(&self, place: usize) -> SymbolId {
        self.all.borrow().all()[place].symbol
    }

    /// Returns the venue's spelling of the symbol at a place.
    pub fn venue_symbol(&self, place: usize) -> String {
        self.all.borrow().all()[place].venue_symbol.clone()
    }

    /// Returns the place of a symbol.
    pub fn place(&self, symbol: SymbolId) -> Option<usize> {
        self.all.borrow().place(symbol)
    }

    /// Returns the place of what the venue spells so.
    pub fn place_of(&self, venue_symbol: &str) -> Option<usize> {
        let all = self.all.borrow();
        all.place(all.find(venue_symbol)?.symbol)
    }

    /// Returns the number of symbols that are followed.
    pub fn num_followed(&self) -> usize {
        self.num_followed.get()
    }

    /// True when the symbol at a place is not followed any more.
    pub fn is_left(&self, place: usize) -> bool {
        self.is_left.borrow()[place]
    }

    /// Returns the places that are followed.
    pub fn places(&self) -> Vec<usize> {
        let is_left = self.is_left.borrow();
        (0..is_left.len()).filter(|&place| !is_left[place]).collect()
    }

    /// Follows an instrument. Returns its place, unless it is followed already.
    pub fn add(&self, instrument: Instrument) -> Option<usize> {
        let place = self.place(instrument.symbol);
        match place {
            Some(place) if !self.is_left(place) => return None,
            Some(place) => self.is_left.borrow_mut()[place] = false,
            None => {
                let mut all = self.all.borrow_mut();
                *all = Rc::new(all.with(vec![instrument]));
                self.is_left.borrow_mut().push(false);
            }
        }
        self.num_followed.set(self.num_followed.get() + 1);
        place.or_else(|| Some(self.is_left.borrow().len() - 1))
    }

    /// Leaves a symbol. Returns its place, if it was followed.
    pub fn leave(&self, symbol: SymbolId) -> Option<usize> {
        let place = self.place(symbol).filter(|&place| !self.is_left(place))?;
        self.is_left.borrow_mut()[place] = true;
        self.num_followed.set(self.num_followed.get() - 1);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::num::Scale;

    fn instrument(id: u32, venue_symbol: &str) -> Instrument {
        Instrument {
            symbol: SymbolId(id),
            venue_symbol: venue_symbol.to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        }
    }

    #[test]
    fn a_symbol_keeps_its_place() {
        let followed = Followed::new(Instruments::new(vec![instrument(7, "A"), instrument(3, "B")]));
        assert_eq!((followed.add(instrument(3, "B")), followed.add(instrument(5, "C"))), (None, Some(2)));
        assert_eq!((followed.leave(SymbolId(7)), followed.leave(SymbolId(7))), (Some(0), None));
        assert_eq!((followed.places(), followed.num_followed()), (vec![1, 2], 2));
        assert_eq!(followed.place_of("A"), Some(0), "what is under way of it can be read still");
        assert!(followed.is_left(0) && followed.leave(SymbolId(9)).is_none());
        assert_eq!(followed.add(instrument(7, "A")), Some(0));
        assert_eq!((followed.places(), followed.num_followed()), (vec![0, 1, 2], 3));
    }

    #[tokio::test]
    async fn changes_are_taken_in_their_order_and_once() {
        let changes = Changes::default();
        changes.push(Change::Leave(vec![SymbolId(1)]));
        changes.push(Change::Leave(vec![SymbolId(2)]));
        let first = |changes: &[Change]| match changes {
            [Change::Leave(first), ..] => first[0].0,
            _ => panic!("nothing else came"),
        };
        let taken = changes.next().await;
        assert_eq!((taken.len(), first(&taken)), (2, 1));
        let (taken, ()) =
            tokio::join!(changes.next(), async { changes.push(Change::Leave(vec![SymbolId(3)])) });
        assert_eq!((taken.len(), first(&taken)), (1, 3));
    }
}
