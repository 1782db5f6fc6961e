//! Follows and leaves symbols while the feed runs.
//!
//! Promises: the log is told what a new symbol is and who is in charge of it before anything else of it; the symbols that stay
//! notice nothing. On failure: a log that is gone ends the feed.

use super::super::moment::next_whole;
use super::super::plan::{FeedChange, Follow};
use super::super::running::Running;
use super::Coordinator;
use crate::actors::ingest::client::LogGone;
use crate::actors::ingest::handle::StopSignal;
use crate::actors::ingest::shell::Change;
use crate::models::entry::{Body, Entry};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;

impl Coordinator {
    /// Follows other symbols from now on.
    pub(super) async fn change(&mut self, change: FeedChange, stop: &StopSignal) -> Result<(), LogGone> {
        match change {
            FeedChange::Follow(follow) => self.follow(follow, stop).await,
            FeedChange::Leave(symbols) => {
                for member in &mut self.members {
                    member.plan.instruments = member.plan.instruments.without(&symbols);
                }
                symbols.iter().for_each(|symbol| _ = self.owners.remove(symbol));
                self.note_waiting();
                let leave = |running: &Running| running.changes.push(Change::Leave(symbols.clone()));
                self.members.iter().filter_map(|member| member.running.as_ref()).for_each(leave);
                self.compared.iter().for_each(|compared| leave(&compared.running));
                Ok(())
            }
        }
    }

    /// Tells the log what new symbols are and who is in charge of them, unless that is told with their past, then has the
    /// venues follow them.
    async fn follow(&mut self, follow: Follow, stop: &StopSignal) -> Result<(), LogGone> {
        let Follow { venues, compared, definitions, known } = follow;
        let has_standbys = self.members.len() > 1;
        let warms_up = self.members.iter().any(|member| member.plan.warm_up_bars > 0);
        let mut entries = definitions;
        let charged = self.charged.get();
        let now = (self.env.now)();
        let mut symbols: Vec<SymbolId> = Vec::new();
        for instrument in venues.iter().flatten() {
            let symbol = instrument.symbol;
            if symbols.contains(&symbol) {
                continue;
            }
            symbols.push(symbol);
            // Where the one in charge does not have it, the first that has it brings it once it is opened.
            let has = |at: &usize| venues[*at].iter().any(|one| one.symbol == symbol);
            let holder = std::iter::once(charged).chain(0..self.members.len()).find(has);
            let Some(holder) = holder else { continue };
            self.owners.insert(symbol, holder);
            let source = self.members[holder].plan.source;
            let before = known.iter().find(|(other, _)| *other == symbol).map(|(_, source)| *source);
            if before.is_none() && warms_up {
                self.pasts.newcomers.add(symbol);
            }
            let from = match before {
                None if has_standbys => Some(Nanos(0)),
                Some(before) if before != source => Some(next_whole(now.max(self.charged_from))),
                _ => None,
            };
            let charge = |from| Entry { pos: 0, symbol, body: Body::SourceInCharge { source, from } };
            entries.extend(from.map(charge));
        }
        self.tell(entries, stop).await?;
        for (at, (member, instruments)) in self.members.iter_mut().zip(venues).enumerate() {
            member.plan.instruments = member.plan.instruments.with(instruments.clone());
            if let Some(past) = self.pasts.venues.get(at) {
                past.instruments.replace(member.plan.instruments.clone());
            }
            if let Some(running) = &member.running {
                running.changes.push(Change::Follow(instruments));
            }
        }
        for (compared, instruments) in self.compared.iter().zip(compared) {
            compared.running.changes.push(Change::Follow(instruments));
        }
        self.note_waiting();
        Ok(())
    }
}
