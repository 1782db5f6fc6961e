//! The log's file: what it is called, and how it is known from others.

use crate::stores::sqlite::database::FileKind;
use crate::stores::sqlite::settings::CHECKPOINT_PAGES;
use sqlx::migrate::Migrator;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite/log");
/// The file's name in the data directory.
pub(super) const FILE_NAME: &str = "log.db";
pub(super) const KIND: FileKind = FileKind {
    name: FILE_NAME,
    application_id: i32::from_be_bytes(*b"TWLG"),
    migrator: &MIGRATOR,
    checkpoint_pages: CHECKPOINT_PAGES,
};
