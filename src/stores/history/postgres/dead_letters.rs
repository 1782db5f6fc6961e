//! Dead letters: what was not accepted, known by its place in the log or in its input.
//!
//! Promises: a letter that is there already stays as it is. A NUL, which no text of PostgreSQL can hold, is written as
//! `\u0000`: what was not accepted is the last thing that may be refused.

use super::error::failed;
use super::ticks::timestamp;
use crate::stores::error::StoreError;
use crate::stores::history::DeadLetterRecord;
use sqlx::postgres::PgConnection;
use std::borrow::Cow;

/// Writes letters, in their order.
pub(super) async fn write(
    conn: &mut PgConnection,
    letters: &[Cow<'_, DeadLetterRecord>],
) -> Result<(), StoreError> {
    if letters.is_empty() {
        return Ok(());
    }
    let texts = |of: fn(&DeadLetterRecord) -> &str| -> Vec<Cow<'_, str>> {
        letters.iter().map(|letter| writable(of(letter))).collect()
    };
    let symbols: Vec<Option<Cow<'_, str>>> =
        letters.iter().map(|letter| letter.symbol.as_deref().map(writable)).collect();
    sqlx::query(
        "INSERT INTO dead_letters (received_at, reason, symbol, provider, payload, origin, log_pos, received_ns) \
         SELECT received_at, reason, symbol, provider, payload, origin, log_pos, received_ns \
         FROM unnest($1::timestamptz[], $2::varchar[], $3::varchar[], $4::varchar[], $5::text[], $6::varchar[], \
         $7::bigint[], $8::bigint[]) WITH ORDINALITY \
         AS given (received_at, reason, symbol, provider, payload, origin, log_pos, received_ns, nth) \
         ORDER BY nth ON CONFLICT DO NOTHING",
    )
    .bind(letters.iter().map(|letter| timestamp(letter.received_at)).collect::<Vec<_>>())
    .bind(texts(|letter| &letter.reason))
    .bind(symbols)
    .bind(texts(|letter| &letter.provider))
    .bind(texts(|letter| &letter.payload))
    .bind(texts(|letter| &letter.origin))
    .bind(letters.iter().map(|letter| letter.pos.map(u64::cast_signed)).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.received_at.0).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed("failed to write dead letters"))
}

fn writable(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\\u0000")),
        false => Cow::Borrowed(text),
    }
}
