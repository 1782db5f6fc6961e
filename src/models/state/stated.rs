//! What is looked for, as the log says.
//!
//! Promises: what an entry says holds from its position on, whatever the settings of the process say, so two processes that
//! read the log find the same. Excursions that are open go on; what was found before is judged anew only where its data
//! changes. On failure: a text that cannot be read changes nothing; who routes entries says so, since it is the same for all
//! symbols.

use super::SymbolState;
use super::detection::Found;
use super::rules::RulesFound;
use crate::models::detection::document::Document;
use crate::models::detection::settings::DetectionSettings;
use crate::models::detection::statement::{self, Statement};
use std::sync::Arc;

/// What was stated last, and read.
#[derive(Clone, Debug)]
pub struct Stated {
    document: Document,
    statement: Arc<Statement>,
}

impl SymbolState {
    /// Takes up what is looked for from now on. For a state that knows nothing yet this says what held before its first entry.
    pub fn look_for(&mut self, document: Document) {
        if self.stated.as_ref().is_some_and(|stated| stated.document == document) {
            return;
        }
        if let Ok(statement) = statement::read(document) {
            self.stated = Some(Stated { document, statement });
            self.renew_detection();
        }
    }

    /// Takes up what a checkpoint holds. What this process cannot read leaves the settings in place.
    pub(super) fn restore_looked_for(
        &mut self,
        stated: Option<Document>,
        found: Option<Found>,
        rules: Option<RulesFound>,
    ) {
        let read = |document| statement::read(document).map(|statement| Stated { document, statement });
        // What cannot be read was none when the checkpoint was made: another program made it.
        self.stated = stated.map(read).and_then(Result::ok);
        self.reset_detection(found, rules);
    }

    /// Returns what its log said last is looked for.
    #[must_use]
    pub fn stated(&self) -> Option<Document> {
        self.stated.as_ref().map(|stated| stated.document)
    }

    /// Returns what is looked for; `None` for nothing.
    #[must_use]
    pub fn looked_for(&self) -> Option<&DetectionSettings> {
        let stated = self.stated.as_ref().map(|stated| &stated.statement.settings);
        stated.or(self.settings.detection.as_ref())
    }
}
