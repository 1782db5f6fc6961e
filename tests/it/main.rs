//! Tests of real parts together, in one binary so that everything links once.

mod indicators;
mod oracle;
mod order;
mod reference;
mod support;
