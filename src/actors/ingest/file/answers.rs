//! Answers to polls in a recording, put in the order of time.
//!
//! A feed that polls holds its clock until every poll has been answered, since one symbol's answer may begin hours before
//! another's ends. The clock of a file is its newest entry, so here reports wait instead. Promises: they come out oldest
//! first, as far as every poll has come; none waits once another is [`WAIT_MAX`] newer, or the file has ended. Nothing
//! here fails.

use crate::actors::ingest::shell::Brought;
use crate::actors::ingest::venue::{Context, Heard, Poll, Venue};
use crate::models::entry::Entry;
use crate::models::time::{HOUR, Nanos};
use std::collections::BTreeMap;

/// How much older than the newest one a report may be that waits: a symbol that does not trade holds up the others no longer.
const WAIT_MAX: i64 = 2 * HOUR;

/// What the polls of a venue have brought.
pub(super) struct Answers {
    polls: Vec<(Poll, Brought)>,
    /// By time, and by how many came before.
    waiting: BTreeMap<(Nanos, u64), Entry>,
    num_reports: u64,
}

impl Answers {
    /// Makes those of the polls, in the order in which frames name them.
    pub(super) fn new(polls: Vec<Poll>) -> Answers {
        let polls = polls.into_iter().map(|poll| (poll, Brought::of_recording()));
        Answers { polls: polls.collect(), waiting: BTreeMap::new(), num_reports: 0 }
    }

    /// Reads an answer: leaves in `heard` what none before it said. Returns whether there is such a poll.
    pub(super) fn read(
        &mut self,
        at: usize,
        venue: &dyn Venue,
        body: &str,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> bool {
        let Some((poll, brought)) = self.polls.get_mut(at) else { return false };
        brought.read(venue, body, poll, context, heard);
        true
    }

    /// Has a report wait.
    pub(super) fn hold(&mut self, entry: Entry) {
        self.waiting.insert((entry.body.time(), self.num_reports), entry);
        self.num_reports += 1;
    }

    /// Returns the next report that need not wait.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let (newest, _) = *self.waiting.last_key_value()?.0;
        let first = self.waiting.first_entry()?;
        let (time, _) = *first.key();
        let all = self.polls.iter().map(|(_, brought)| brought.reached());
        let is_due = all.min().flatten().is_some_and(|reached| time < reached);
        (is_due || newest.since(time) > WAIT_MAX).then(|| first.remove())
    }

    /// Returns the next report: no answer comes any more.
    pub(super) fn next_of_rest(&mut self) -> Option<Entry> {
        self.waiting.pop_first().map(|(_, entry)| entry)
    }
}
