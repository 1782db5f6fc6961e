//! Hands the charge over: of the feed to another venue, of symbols that this one does not bring back to who had them.
//!
//! Promises: a hand-over lies behind the last one, and begins where the venue that is left had told everything. On failure: a log
//! that is gone ends the feed.

use super::super::decision::Why;
use super::super::moment::{complete_until, hand_over_at};
use super::super::running::Running;
use super::{Coordinator, LastHandOver};
use crate::actors::ingest::client::LogGone;
use crate::actors::ingest::handle::StopSignal;
use crate::models::entry::{Body, Entry};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::BTreeSet;

impl Coordinator {
    /// Puts another venue in charge.
    pub(super) async fn hand_over(&mut self, to: usize, why: Why, stop: &StopSignal) -> Result<(), LogGone> {
        let (from, lateness) = (self.charged.get(), self.lateness());
        let next = &self.members[to];
        let Some(next_since) = next.running.as_ref().map(|running| running.since) else { return Ok(()) };
        let left = &self.members[from];
        let told = left.running.as_ref().map(Running::told);
        let reason = left.running.as_ref().map(|running| running.standing.reason()).unwrap_or_default();
        // The next one has heard or fetches everything since it was opened, which is what `has_past` asks for.
        let complete = told.map_or(Nanos::MIN, |told| complete_until(&told, why, true, lateness));
        let at = hand_over_at(complete, next_since, self.charged_from);
        let refused = next.running.as_ref().map(|running| running.standing.left_out()).unwrap_or_default();
        let brought: BTreeSet<SymbolId> = next.plan.symbols().difference(&refused).copied().collect();
        let charge = |&symbol: &SymbolId| Entry {
            pos: 0,
            symbol,
            body: Body::SourceInCharge { source: next.plan.source, from: at },
        };
        let entries = brought.iter().map(charge).collect();
        let stays = self.owners.iter().any(|(symbol, &owner)| owner == from && !brought.contains(symbol));
        // What it alone can tell: its own symbols, and what it had yet to tell of the time before the last hand-over.
        let owes_since = (stays || complete < self.charged_from).then_some(complete);
        let change = |&symbol: &SymbolId| Some((symbol, self.owners.insert(symbol, to)?));
        let before = brought.iter().filter_map(change).filter(|&(_, owner)| owner != to).collect();
        let reason = match why {
            Why::Silent => format!("nothing came for {:?}", self.stale_after),
            Why::Broken if reason.is_empty() => "no connection came about".to_owned(),
            _ => reason,
        };
        let (left_name, next_name) = (left.plan.venue.name(), next.plan.venue.name());
        if why == Why::Recovered {
            tracing::info!(
                feed = self.name,
                venue = next_name,
                in_place_of = left_name,
                from = at.to_rfc3339(),
                "the venue is well again and takes charge"
            );
        } else {
            tracing::warn!(
                feed = self.name,
                venue = next_name,
                in_place_of = left_name,
                from = at.to_rfc3339(),
                reason,
                "another venue takes charge"
            );
        }
        self.members[from].owes_since = owes_since;
        self.members[from].left = if why == Why::Recovered { String::new() } else { reason };
        let next = &mut self.members[to];
        (next.owes_since, next.left) = (None, String::new());
        next.metrics.took_charge(why.as_str());
        self.charged_from = at;
        self.last_hand_over = Some(LastHandOver { complete, at, before });
        self.charged.set(to);
        self.note_waiting();
        for compared in &self.compared {
            compared.divergence.borrow_mut().begin((self.env.now)());
        }
        self.tell(entries, stop).await
    }

    /// Gives symbols back that the venue in charge was given and has refused since: what nobody brings would look quiet.
    pub(super) async fn give_back(&mut self, stop: &StopSignal) -> Result<(), LogGone> {
        let (charged, Some(last)) = (&self.members[self.charged.get()], &mut self.last_hand_over) else {
            return Ok(());
        };
        let Some(running) = charged.running.as_ref().filter(|running| running.standing.num_left_out() > 0)
        else {
            return Ok(());
        };
        let refused = running.standing.left_out();
        let back: Vec<(SymbolId, usize)> =
            refused.iter().filter_map(|symbol| last.before.remove_entry(symbol)).collect();
        if back.is_empty() {
            return Ok(());
        }
        let (complete, at) = (last.complete, last.at);
        tracing::warn!(
            feed = self.name,
            venue = charged.plan.venue.name(),
            symbols = back.len(),
            "the venue in charge refuses symbols, which wait for the venue that had them before"
        );
        let mut entries = Vec::new();
        for &(symbol, owner) in &back {
            self.owners.insert(symbol, owner);
            // As if it had never been handed over: of two entries for one moment the later one counts.
            let body = Body::SourceInCharge { source: self.members[owner].plan.source, from: at };
            entries.push(Entry { pos: 0, symbol, body });
        }
        let owners: BTreeSet<usize> = back.into_iter().map(|(_, owner)| owner).collect();
        for owner in owners {
            let is_tried = self.members[owner].running.is_some();
            self.stop_venue(owner);
            let owes_since = &mut self.members[owner].owes_since;
            *owes_since = Some(owes_since.map_or(complete, |since| since.min(complete)));
            if is_tried {
                // It was opened without knowing what it owes.
                self.start_venue(owner);
            }
        }
        self.note_waiting();
        self.tell(entries, stop).await
    }

    /// Notes which symbols wait for a venue that is not in charge of the feed.
    pub(super) fn note_waiting(&mut self) {
        self.waiting.clear();
        for (symbol, &owner) in self.owners.iter().filter(|(_, owner)| **owner != self.charged.get()) {
            self.waiting.entry(owner).or_default().push(self.members[0].plan.spelled(*symbol));
        }
    }
}
