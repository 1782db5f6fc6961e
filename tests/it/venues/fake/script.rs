//! What goes wrong at a fake venue, and when.

use std::sync::Mutex;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is closed, and the market trades so many before the next one.
    Kick(usize),
    /// The connection is cut without a word.
    Cut,
    /// The connection is cut after so many bytes of the next trade's frame.
    CutInFrame(usize),
    /// So many trades are not sent.
    Skip(usize),
    /// So many trades are sent again.
    Repeat(usize),
    /// So many trades are sent in reverse order.
    Reorder(usize),
    /// So many trades are sent in as few frames as the venue can, and in one piece.
    Together(usize),
    /// So many of the next frames are sent in fragments with pings between them, a few bytes at a time.
    Fragments(usize),
    /// Nothing is sent any more, and the market trades so many meanwhile.
    Silence(usize),
    /// A frame that is none.
    Garbage(&'static [u8]),
    /// So many of the next connections are met so.
    Welcome(usize, Welcome),
    /// So many of the next requests over REST are answered so.
    Rest(usize, RestFault),
}

/// How a connection is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// It is closed before anything is said.
    Refuse,
    /// The key is refused: the place in [`Dialect::refusals`](super::Dialect::refusals).
    RefuseKey(usize),
    /// All is confirmed, and then it is closed.
    AcceptThenKick,
    /// Nobody says anything until the client has had enough.
    Hang,
}

/// How a request over REST is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestFault {
    /// With this status, and a text that says nothing.
    Status(&'static str),
    /// With 429 and so many seconds to wait.
    Limit(u64),
    /// With the right answer, cut after so many bytes of its body.
    CutAfter(usize),
    /// Not at all, until the client has had enough.
    Hang,
    /// The key is refused: the place in [`Dialect::rest_refusals`](super::Dialect::rest_refusals).
    RefuseKey(usize),
}

/// Faults and the number of trades after which each comes, and those that last.
#[derive(Debug)]
pub struct Script {
    due: Mutex<Vec<(usize, Fault)>>,
    welcome: Mutex<Option<(usize, Welcome)>>,
    rest: Mutex<Option<(usize, RestFault)>>,
}

impl Script {
    pub fn new(faults: &[(usize, Fault)]) -> Script {
        Script { due: Mutex::new(faults.to_vec()), welcome: Mutex::default(), rest: Mutex::default() }
    }

    /// Takes the next fault that is due, and keeps those that last.
    pub fn next(&self, num_played: usize) -> Option<Fault> {
        let mut due = self.due.lock().unwrap();
        loop {
            let at = due.iter().position(|(after, _)| *after <= num_played)?;
            match due.remove(at).1 {
                Fault::Welcome(times, welcome) => self.set_welcome(times, welcome),
                Fault::Rest(times, fault) => *self.rest.lock().unwrap() = Some((times, fault)),
                fault => return Some(fault),
            }
        }
    }

    /// Meets so many of the next connections so.
    pub fn set_welcome(&self, times: usize, welcome: Welcome) {
        *self.welcome.lock().unwrap() = Some((times, welcome));
    }

    /// Answers so many of the next requests so.
    pub fn set_rest(&self, times: usize, fault: RestFault) {
        *self.rest.lock().unwrap() = Some((times, fault));
    }

    /// Lets nothing go wrong any more that lasts.
    pub fn forgive(&self) {
        *self.welcome.lock().unwrap() = None;
        *self.rest.lock().unwrap() = None;
    }

    pub fn next_welcome(&self) -> Option<Welcome> {
        take(&self.welcome)
    }

    pub fn next_rest(&self) -> Option<RestFault> {
        take(&self.rest)
    }
}

/// Takes one of so many.
fn take<T: Copy>(left: &Mutex<Option<(usize, T)>>) -> Option<T> {
    let mut left = left.lock().unwrap();
    let (times, fault) = (*left)?;
    *left = times.checked_sub(2).map(|rest| (rest + 1, fault));
    Some(fault)
}
