//! The one integration-test binary: one module a subject, so that the crate is linked once.

mod oracle;
mod order;
mod reference;
mod support;
