//! Finds the symbols that are asked for among what a venue has.
//!
//! Promises: a symbol that the venue does not have is refused with what it has that is like it; a venue whose list cannot be
//! had holds nobody up: what is asked for is taken as it is, and that is said.

use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::shell::{ListingError, list_instruments};
use crate::actors::ingest::venue::{Listed, Venue};
use crate::models::num::Scale;
use crate::models::symbol::{SymbolError, SymbolId, SymbolSpec};
use crate::names::SymbolTable;
use std::collections::HashMap;

/// Instruments of a venue that are named where one is not found.
const NAMED_MAX: usize = 10;

/// The command asks for what there is not: the exit code says so, as with a wrong flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub(super) String);

/// What a venue has.
pub struct Catalogue<'a> {
    venue: &'a dyn Venue,
    /// Its list; `None` where it has none, or it cannot be had.
    listed: Option<Vec<Listed>>,
    table: SymbolTable,
    places: HashMap<SymbolId, usize>,
}

impl<'a> Catalogue<'a> {
    /// Asks a venue for its list.
    ///
    /// # Errors
    /// When the certificates that its section names cannot be read.
    pub async fn of(
        venue: &'a dyn Venue,
        config: &VenueConfig,
        requests_per_minute: u32,
    ) -> anyhow::Result<Catalogue<'a>> {
        let listed = match list_instruments(venue, config, requests_per_minute).await {
            Ok(listed) => listed,
            Err(ListingError::Unavailable(error)) => {
                tracing::warn!(
                    venue = venue.name(),
                    error,
                    "the venue's list of instruments cannot be had; what was asked for is followed unchecked"
                );
                None
            }
            Err(error @ ListingError::Certificate(_)) => return Err(error.into()),
        };
        Ok(Catalogue::new(venue, listed))
    }

    fn new(venue: &'a dyn Venue, listed: Option<Vec<Listed>>) -> Catalogue<'a> {
        let table = SymbolTable::default();
        let all = listed.iter().flatten().enumerate();
        let places = all.map(|(at, one)| (table.intern(SymbolSpec::named(&one.name)), at)).collect();
        Catalogue { venue, listed, table, places }
    }

    /// Finds a symbol, aliases included.
    ///
    /// # Errors
    /// [`WrongUse`] when the venue does not have it.
    pub fn find(&self, name: &str) -> Result<Listed, WrongUse> {
        let venue = self.venue.name();
        let Some(all) = &self.listed else {
            let reason = |reason| WrongUse(format!("`{venue}` cannot have the symbol `{name}`: {reason}"));
            return self.venue.spell(name).map_err(reason);
        };
        let found = match self.table.resolve(name) {
            Ok(id) => &all[self.places[&id]],
            Err(SymbolError::Ambiguous(_, several)) => {
                return Err(WrongUse(format!("`{name}` may mean {several} at `{venue}`")));
            }
            Err(_) => return Err(WrongUse(not_there(venue, name, all))),
        };
        if !found.is_trading {
            tracing::warn!(venue, symbol = found.name, "the venue does not trade this at present");
        }
        Ok(found.clone())
    }

    /// Finds symbols, each once.
    ///
    /// # Errors
    /// [`WrongUse`] when the venue does not have one of them.
    pub fn find_all(&self, names: &[String]) -> Result<Vec<Listed>, WrongUse> {
        let mut found: Vec<Listed> = Vec::new();
        for name in names {
            let one = self.find(name)?;
            if !found.contains(&one) {
                found.push(one);
            }
        }
        Ok(found)
    }

    /// Finds those of the symbols that the venue has, as it may stand by for some only; the others are said.
    ///
    /// # Errors
    /// [`WrongUse`] when it has none of them.
    pub fn find_some(&self, names: &[String]) -> Result<Vec<Listed>, WrongUse> {
        let (mut found, mut last) = (Vec::new(), None);
        for name in names {
            match self.find(name) {
                Ok(one) => found.push(one),
                Err(error) => {
                    tracing::warn!(%error, "the venue does not stand by for this symbol");
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

/// Says that a venue does not have a symbol, and what it has that is like it.
fn not_there(venue: &str, name: &str, all: &[Listed]) -> String {
    let half = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let mut alike: Vec<&str> = all
        .iter()
        .filter(|one| one.is_trading && half(&one.name) == half(name))
        .map(|one| one.name.as_str())
        .collect();
    if alike.is_empty() {
        alike = all.iter().filter(|one| one.is_trading).map(|one| one.name.as_str()).collect();
    }
    alike.sort_unstable();
    let rest = alike.len().saturating_sub(NAMED_MAX);
    alike.truncate(NAMED_MAX);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("`{venue}` has no symbol `{name}`; there is {}{more}", alike.join(", "))
}

/// Returns the scale to use. That of the venue's list is taken where it is finer than the default, and never a coarser
/// one: a venue may refine its increments while the state lives, and then a scale just as fine as today's would round.
pub fn scale(wanted: Option<Scale>, listed: Option<Scale>, default: Scale) -> Scale {
    wanted.unwrap_or_else(|| match listed {
        Some(listed) if listed.decimals() > default.decimals() => listed,
        _ => default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::registry;

    /// Returns what is found in a list, of all symbols or of those that are there.
    fn found(symbols: &[&str], may_lack: bool) -> Result<Vec<String>, String> {
        let all = ["BTC-USD", "BTC-EUR", "ETH-USD"].map(|name| Listed::pair(name, name));
        let entry = registry::find("coinbase").expect("it is there");
        let venue = (entry.open)(&VenueConfig::default());
        let symbols: Vec<String> = symbols.iter().map(|&name| name.to_owned()).collect();
        let catalogue = Catalogue::new(venue.as_ref(), Some(all.to_vec()));
        let found = if may_lack { catalogue.find_some(&symbols) } else { catalogue.find_all(&symbols) };
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|one| one.name).collect())
    }

    #[test]
    fn symbols_are_found_by_their_aliases_and_others_refused_with_a_hint() {
        let found = |symbols: &[&str]| found(symbols, false);
        assert_eq!(found(&["ETHUSD", "BTC-USD", "BTC-USD"]), Ok(vec!["ETH-USD".into(), "BTC-USD".into()]));
        let said = found(&["BTC-USDX"]).expect_err("none");
        assert_eq!(said, "`coinbase` has no symbol `BTC-USDX`; there is BTC-EUR, BTC-USD");
        let said = found(&["AAPL"]).expect_err("none");
        assert_eq!(said, "`coinbase` has no symbol `AAPL`; there is BTC-EUR, BTC-USD, ETH-USD");
    }

    #[test]
    fn a_standby_may_lack_some_symbols_and_not_all() {
        let found = |symbols: &[&str]| found(symbols, true);
        assert_eq!(found(&["AAPL", "BTC-USD"]), Ok(vec!["BTC-USD".into()]));
        assert!(found(&["AAPL", "MSFT"]).is_err_and(|said| said.contains("`MSFT`")));
    }

    #[test]
    fn a_scale_is_never_coarser_than_the_default_unless_it_is_asked_for() {
        let of = |decimals: u8| Scale::new(decimals).expect("at most 12");
        assert_eq!(scale(None, Some(of(2)), Scale::PRICE), Scale::PRICE);
        assert_eq!(scale(None, Some(of(12)), Scale::PRICE), of(12));
        assert_eq!(scale(None, None, Scale::SIZE), Scale::SIZE);
        assert_eq!(scale(Some(of(2)), Some(of(12)), Scale::PRICE), of(2));
    }
}
