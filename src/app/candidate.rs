//! A symbol that a feed could follow, or why it cannot.

use super::opening::is_otherwise;
use crate::actors::ingest::venue::Listed;
use crate::models::symbol::SymbolSpec;
use crate::node::Node;
use crate::web::symbol_control::RefusalReason;

/// Why a symbol cannot be followed.
#[derive(Clone, Debug)]
pub struct Refused {
    /// For programs.
    pub reason: RefusalReason,
    /// For people.
    pub detail: String,
}

/// A symbol that a feed could follow.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it is.
    pub spec: SymbolSpec,
    /// As each venue of the feed lists it, in their order; `None` of one that does not have it.
    pub venues: Vec<Option<Listed>>,
    /// The same of the venues that are compared.
    pub compared: Vec<Option<Listed>>,
}

impl Candidate {
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Looks whether its bars are made of what they have been made of.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self, node: &Node) -> Result<(), Refused> {
        let known = node.symbols.get(self.name()).and_then(|id| is_otherwise(node, id, &self.spec));
        known.map_or(Ok(()), |detail| Err(Refused { reason: RefusalReason::SymbolFixed, detail }))
    }
}
