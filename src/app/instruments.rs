//! Finds the symbols that are asked for among what a venue has.
//!
//! Promises: a symbol that the venue does not have is refused with what it has that is like it; a venue whose list cannot be
//! had holds nobody up: what is asked for is taken as it is, and that is said.

use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::shell::{InstrumentClient, RequestLimit, Tls};
use crate::actors::ingest::venue::{Listed, Venue};
use crate::models::num::Scale;
use crate::models::symbol::{SymbolError, SymbolId, SymbolSpec, folded};
use crate::names::SymbolTable;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Instruments of a venue that are named where one is not found.
const NAMED_MAX: usize = 10;

/// The command asks for what there is not: the exit code says so, as with a wrong flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub(super) String);

/// How old a list may be when somebody searches it, or wants a symbol that is not in it.
const AGE_MAX: Duration = Duration::from_mins(5);

/// What a venue has.
pub struct Catalogue {
    venue: Arc<dyn Venue>,
    client: InstrumentClient,
    /// Its list; `None` where it has none, or it cannot be had.
    listed: Option<Vec<Listed>>,
    /// When it was asked for.
    asked: Instant,
    /// Why it could not be had.
    trouble: Option<String>,
    table: SymbolTable,
    places: HashMap<SymbolId, usize>,
}

impl Catalogue {
    /// Asks a venue for its list, in turns with all who share the limit.
    pub async fn of(
        venue: Arc<dyn Venue>,
        config: &VenueConfig,
        limit: RequestLimit,
        tls: &Tls,
    ) -> Catalogue {
        let client = InstrumentClient::new(Arc::clone(&venue), config, limit, tls);
        let listed = client.list().await;
        if let Err(error) = &listed {
            tracing::warn!(
                venue = venue.name(),
                error,
                "the venue's list of instruments cannot be had; what was asked for is followed unchecked"
            );
        }
        Catalogue::new(venue, client, listed)
    }

    fn new(
        venue: Arc<dyn Venue>,
        client: InstrumentClient,
        listed: Result<Option<Vec<Listed>>, String>,
    ) -> Catalogue {
        let (listed, trouble) = match listed {
            Ok(listed) => (listed, None),
            Err(trouble) => (None, Some(trouble)),
        };
        let table = SymbolTable::default();
        let all = listed.iter().flatten().enumerate();
        let places = all.map(|(at, one)| (table.intern(SymbolSpec::named(&one.name)), at)).collect();
        Catalogue { venue, client, listed, asked: Instant::now(), trouble, table, places }
    }

    /// Asks for the list anew where the one there is is old, or could not be had. One that is there stays where that fails.
    pub async fn refresh(&mut self) {
        let is_wanted = self.listed.is_some() || self.trouble.is_some();
        if !is_wanted || (self.trouble.is_none() && self.asked.elapsed() < AGE_MAX) {
            return;
        }
        match self.client.list_soon().await {
            Ok(listed) => *self = Catalogue::new(Arc::clone(&self.venue), self.client.clone(), Ok(listed)),
            Err(trouble) if self.listed.is_none() => self.trouble = Some(trouble),
            Err(error) => {
                tracing::debug!(venue = self.venue.name(), error, "an older list of instruments is used");
            }
        }
    }

    /// Returns why nobody can say now what the venue has; `None` where it can be said.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns instruments whose names fit a query, the best first, at most so many.
    ///
    /// # Errors
    /// Why the venue did not say.
    pub async fn search(&mut self, query: &str, limit: usize) -> Result<Vec<Listed>, String> {
        self.refresh().await;
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let Some(all) = &self.listed else {
            let found = self.client.search(query, limit).await?;
            return found.ok_or_else(|| "this venue cannot be searched".to_owned());
        };
        let wanted = folded(query);
        let mut found: Vec<(bool, bool, &Listed)> = all
            .iter()
            .filter_map(|one| {
                let name = folded(&one.name);
                let at = name.find(&wanted)?;
                Some((!one.is_trading, at > 0, one))
            })
            .collect();
        found.sort_by_key(|(is_halted, is_inside, one)| {
            (*is_halted, *is_inside, one.name.len(), one.name.clone())
        });
        Ok(found.into_iter().take(limit).map(|(.., one)| one.clone()).collect())
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

    fn catalogue_of(all: &[Listed]) -> Catalogue {
        let (entry, config) = (registry::find("coinbase").expect("it is there"), VenueConfig::default());
        let (venue, tls) = ((entry.open)(&config), Tls::of(&config).expect("it names no certificates"));
        let client = InstrumentClient::new(Arc::clone(&venue), &config, RequestLimit::new(&config, 60), &tls);
        Catalogue::new(venue, client, Ok(Some(all.to_vec())))
    }

    #[actix::test]
    async fn a_search_finds_what_trades_and_begins_so_first() {
        let halted = Listed { is_trading: false, ..Listed::pair("BTC-A", "BTC-A") };
        let names = ["WBTC-USD", "BTC-EUR", "ETH-BTC", "BTC-USDT", "ETH-USD"];
        let all: Vec<Listed> = names.iter().map(|name| Listed::pair(name, name)).chain([halted]).collect();
        let mut catalogue = catalogue_of(&all);
        let found = catalogue.search("btc", 9).await.expect("there is a list");
        let found: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(found, ["BTC-EUR", "BTC-USDT", "ETH-BTC", "WBTC-USD", "BTC-A"]);
        let found = catalogue.search("btc/u", 1).await.expect("there is a list");
        assert_eq!(found, [Listed::pair("BTC-USDT", "BTC-USDT")]);
    }

    /// Returns what is found in a list, of all symbols or of those that are there.
    fn found(symbols: &[&str], may_lack: bool) -> Result<Vec<String>, String> {
        let all = ["BTC-USD", "BTC-EUR", "ETH-USD"].map(|name| Listed::pair(name, name));
        let symbols: Vec<String> = symbols.iter().map(|&name| name.to_owned()).collect();
        let catalogue = catalogue_of(&all);
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
