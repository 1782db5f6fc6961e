//! Why a store did not do what it was asked.
//!
//! Promises: an error says where it is made whether another try can help; nobody has to search its text.

/// Why a store did not do what it was asked. Says where it is made whether another try can help.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// May go away by itself: busy, full disk, lost connection.
    #[error("{context}: {cause}")]
    Transient {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
    },
    /// Will not go away by itself: foreign format, corrupt file, refused statement.
    #[error("{context}: {cause}")]
    Permanent {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
    },
    /// Another writer has taken the place of this one, which must write nothing any more.
    #[error("{context}: {cause}")]
    Fenced {
        /// What was being done.
        context: &'static str,
        /// How that shows.
        cause: String,
    },
    /// Rows are refused, and nothing was written; without them the others are taken.
    #[error("{context}: {cause}")]
    Refused {
        /// What was being done.
        context: &'static str,
        /// What the backend said.
        cause: String,
        /// Their places among all rows that were given, in order; empty where the backend does not say.
        rows: Vec<usize>,
    },
}

impl StoreError {
    /// True when another try may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, StoreError::Transient { .. })
    }
}
