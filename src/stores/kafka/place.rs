//! Where a message stands in a topic, as dead letters name it.
//!
//! Promises: what was written reads back. Nothing here fails; a text that is no place is none.

/// Writes where a message stood, for dead letters: `tick_data[3]@4711`.
#[must_use]
pub fn place(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}[{partition}]@{offset}")
}

/// Reads what [`place`] wrote: topic, partition, offset.
#[must_use]
pub fn parse_place(text: &str) -> Option<(&str, i32, i64)> {
    let (topic, rest) = text.rsplit_once('[')?;
    let (partition, offset) = rest.split_once("]@")?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        assert_eq!(parse_place(&place("a[b]@c", 3, 4711)), Some(("a[b]@c", 3, 4711)));
        for text in ["", "t", "t[1]", "t[x]@1", "file.csv:7"] {
            assert_eq!(parse_place(text), None, "{text}");
        }
    }
}
