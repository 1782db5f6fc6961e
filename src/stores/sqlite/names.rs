//! The names behind the integers in a file: symbols and sources.
//!
//! A file numbers its names in the order in which it met them. Where the process met them in the same order, as after a
//! restart, the numbers are the same on both sides; otherwise they are translated.
//!
//! Promises: what a file says of a symbol is what the process knows, from the next write of rows on: the log may say
//! otherwise what a symbol is as long as no price of it is known, and the views of the file show prices by it. A file that
//! did not come to that before its process ended is brought up to date by the next one.

use super::checked::{Fault, checked_row, damaged, get, verify};
use super::database::failed;
use super::meta;
use crate::models::asset_class::AssetClass;
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolId, SymbolSpec};
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

/// Stands where a side does not know the name.
const UNKNOWN: u32 = u32::MAX;

/// More names than any file has.
const NUM_NAMES_MAX: u32 = 1 << 26;

const WRITING_SYMBOL: &str = "failed to write a symbol";
const WRITING_SOURCE: &str = "failed to write a source";

/// A translation between the ids of the process and those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::stores) struct IdMap {
    to_stored: Vec<u32>,
    to_process: Vec<u32>,
}

impl IdMap {
    fn add(&mut self, process: u32, stored: u32) {
        let place = |ids: &mut Vec<u32>, at: u32, id: u32| {
            let at = at as usize;
            if ids.len() <= at {
                ids.resize(at + 1, UNKNOWN);
            }
            ids[at] = id;
        };
        place(&mut self.to_stored, process, stored);
        place(&mut self.to_process, stored, process);
    }

    fn stored(&self, process: u32) -> Option<u32> {
        self.to_stored.get(process as usize).copied().filter(|id| *id != UNKNOWN)
    }

    fn process(&self, stored: u32) -> Option<u32> {
        self.to_process.get(stored as usize).copied().filter(|id| *id != UNKNOWN)
    }

    fn num_stored(&self) -> usize {
        self.to_process.len()
    }
}

/// What a file says of a symbol, besides its number and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fixed {
    price_scale: Scale,
    size_scale: Scale,
    asset_class: AssetClass,
}

impl Fixed {
    const fn of(spec: &SymbolSpec) -> Fixed {
        let SymbolSpec { price_scale, size_scale, asset_class, .. } = *spec;
        Fixed { price_scale, size_scale, asset_class }
    }
}

/// The symbols of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::stores) struct Symbols {
    ids: IdMap,
    /// What the file says of each, by its number in the file.
    written: Vec<Option<Fixed>>,
    /// The version of the process' table that the file has; 0 while nobody has compared them.
    version: u64,
    /// The file holds rows from before there were checksums.
    pub(in crate::stores) has_unchecked_rows: bool,
}

impl Symbols {
    /// Reads the file's symbols and adds them to the process' table, in their stored order. Of one that the table has
    /// already, what the table says stays: see [`Symbols::check_scales`].
    pub(in crate::stores) async fn load(
        conn: &mut SqliteConnection,
        file: &str,
        table: &SymbolTable,
    ) -> Result<Symbols, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, price_scale, size_scale, asset_class, checksum FROM symbols ORDER BY id",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(failed("failed to read the symbols"))?;
        let has_unchecked_rows = meta::get(conn, file, "unchecked_rows").await? != 0;
        let mut symbols = Symbols { has_unchecked_rows, ..Symbols::default() };
        for (at, row) in (1..).zip(rows) {
            let (stored, spec) =
                decode_symbol(&row).map_err(|fault| damaged(file, "symbols", nth(at), &fault))?;
            let fixed = Fixed::of(&spec);
            symbols.add(table.intern(spec), stored, fixed);
        }
        Ok(symbols)
    }

    fn add(&mut self, process: SymbolId, stored: u32, fixed: Fixed) {
        self.ids.add(process.0, stored);
        let at = stored as usize;
        if self.written.len() <= at {
            self.written.resize(at + 1, None);
        }
        self.written[at] = Some(fixed);
    }

    /// Refuses a file that counts decimals otherwise than the process, for the file that says what symbols are: the log's.
    ///
    /// # Errors
    /// [`StoreError::Permanent`].
    pub(in crate::stores) fn check_scales(&self, table: &SymbolTable) -> Result<(), StoreError> {
        for (stored, written) in (0..).zip(&self.written) {
            let (Some(written), Ok(process)) = (written, self.process(stored)) else { continue };
            let known = table.spec(process);
            if (known.price_scale, known.size_scale) != (written.price_scale, written.size_scale) {
                return Err(StoreError::Permanent {
                    context: "failed to read the symbols",
                    cause: format!("symbol `{}` is stored with other numbers of decimals", known.name),
                });
            }
        }
        Ok(())
    }

    /// Writes the symbols that the file does not know yet, or of which it says something else. Returns what holds after
    /// the commit, or `None` where nothing has changed since the last time.
    pub(in crate::stores) async fn persist(
        &self,
        conn: &mut SqliteConnection,
        table: &SymbolTable,
    ) -> Result<Option<Symbols>, StoreError> {
        let version = table.version();
        if version == self.version {
            return Ok(None);
        }
        let mut symbols = Symbols { version, ..self.clone() };
        for (process, spec) in table.since(0) {
            let fixed = Fixed::of(&spec);
            let known = self.ids.stored(process.0);
            if known.is_some_and(|stored| self.written[stored as usize] == Some(fixed)) {
                continue;
            }
            let new = || u32::try_from(symbols.ids.num_stored()).expect("fewer than 2^32 symbols");
            let stored = known.unwrap_or_else(new);
            let arguments = checked_row(WRITING_SYMBOL, |row| {
                row.integer(i64::from(stored))?;
                row.text(spec.name.as_str())?;
                row.integer(i64::from(spec.price_scale.decimals()))?;
                row.integer(i64::from(spec.size_scale.decimals()))?;
                row.text(spec.asset_class.as_str())
            })?;
            let sql = "INSERT INTO symbols (id, name, price_scale, size_scale, asset_class, checksum) \
                       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET price_scale = excluded.price_scale, \
                       size_scale = excluded.size_scale, asset_class = excluded.asset_class, \
                       checksum = excluded.checksum";
            sqlx::query_with(sql, arguments).execute(&mut *conn).await.map_err(failed(WRITING_SYMBOL))?;
            symbols.add(process, stored, fixed);
        }
        Ok(Some(symbols))
    }

    /// Returns the file's number for a symbol of the process.
    pub(in crate::stores) fn stored(&self, symbol: SymbolId) -> Option<u32> {
        self.ids.stored(symbol.0)
    }

    /// Returns the symbol behind the file's number.
    pub(in crate::stores) fn process(&self, stored: u32) -> Result<SymbolId, Fault> {
        self.ids
            .process(stored)
            .map(SymbolId)
            .ok_or_else(|| Fault::new(format!("there is no symbol {stored}")))
    }
}

/// The sources of a file. [`SourceId::ANY`] is the same everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::stores) struct Sources(IdMap);

impl Sources {
    /// Reads the file's sources and adds them to the process' table, in their stored order.
    pub(in crate::stores) async fn load(
        conn: &mut SqliteConnection,
        file: &str,
        table: &SourceTable,
    ) -> Result<Sources, StoreError> {
        let rows = sqlx::query("SELECT id, name, checksum FROM sources ORDER BY id")
            .fetch_all(conn)
            .await
            .map_err(failed("failed to read the sources"))?;
        let mut sources = Sources::default();
        for (at, row) in (1..).zip(rows) {
            let (stored, name) =
                decode_source(&row).map_err(|fault| damaged(file, "sources", nth(at), &fault))?;
            let process = table.intern(&name);
            sources.0.add(u32::from(process.0), stored);
        }
        Ok(sources)
    }

    /// As [`Symbols::persist`].
    pub(in crate::stores) async fn persist(
        &self,
        conn: &mut SqliteConnection,
        table: &SourceTable,
    ) -> Result<Option<Sources>, StoreError> {
        if table.len() == self.0.num_stored() {
            return Ok(None);
        }
        let mut sources = self.clone();
        for (process, name) in (0_u32..).zip(table.all()) {
            if self.0.stored(process).is_some() {
                continue;
            }
            let stored = u32::try_from(sources.0.num_stored()).expect("fewer than 2^16 sources");
            let arguments = checked_row(WRITING_SOURCE, |row| {
                row.integer(i64::from(stored))?;
                row.text(&*name)
            })?;
            sqlx::query_with("INSERT INTO sources (id, name, checksum) VALUES (?, ?, ?)", arguments)
                .execute(&mut *conn)
                .await
                .map_err(failed(WRITING_SOURCE))?;
            sources.0.add(process, stored);
        }
        Ok(Some(sources))
    }

    /// Returns the file's number for a source of the process.
    pub(in crate::stores) fn stored(&self, source: SourceId) -> Option<u16> {
        if source == SourceId::ANY {
            return Some(source.0);
        }
        self.0.stored(u32::from(source.0)).and_then(|id| u16::try_from(id).ok())
    }

    /// Returns the source behind the file's number.
    pub(in crate::stores) fn process(&self, stored: u16) -> Result<SourceId, Fault> {
        if stored == SourceId::ANY.0 {
            return Ok(SourceId::ANY);
        }
        let process = self.0.process(u32::from(stored)).and_then(|id| u16::try_from(id).ok());
        process.map(SourceId).ok_or_else(|| Fault::new(format!("there is no source {stored}")))
    }
}

/// Names a row whose key may be damaged.
fn nth(at: u32) -> String {
    format!("row {at}")
}

/// Reads a row of `symbols`: its number in the file, and what it is.
pub(in crate::stores) fn decode_symbol(row: &SqliteRow) -> Result<(u32, SymbolSpec), Fault> {
    verify(row, 0..5)?;
    let scale = |at| -> Result<Scale, Fault> {
        Scale::new(get(row, at)?).ok_or_else(|| Fault::new("there is no such number of decimals"))
    };
    let spec = SymbolSpec {
        name: get(row, 1)?,
        price_scale: scale(2)?,
        size_scale: scale(3)?,
        asset_class: AssetClass::parse(get(row, 4)?).unwrap_or(AssetClass::Unknown),
        // Stands in the log, as an entry.
        price: PriceSource::Trade,
    };
    Ok((number(row)?, spec))
}

/// Reads a row of `sources`: its number in the file, and its name.
pub(in crate::stores) fn decode_source(row: &SqliteRow) -> Result<(u32, String), Fault> {
    verify(row, 0..2)?;
    Ok((number(row)?, get(row, 1)?))
}

/// Reads a name's number in the file. The files count them, so a large one is damage, and would take memory.
fn number(row: &SqliteRow) -> Result<u32, Fault> {
    get(row, 0).and_then(|number: u32| {
        if number < NUM_NAMES_MAX {
            Ok(number)
        } else {
            Err(Fault::new(format!("there is no number {number}")))
        }
    })
}
