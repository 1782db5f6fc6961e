//! Apache Kafka, by librdkafka: how its brokers are reached, and the topics that other programs read.
//!
//! Promises: passwords are never shown, neither in a log line nor in an error. Nothing here waits on the thread of its
//! caller for longer than the time that it is given. On failure: [`fault::KafkaFault`] says in one line what is wrong and
//! whether another try can help; librdkafka itself goes on trying to reach its brokers, with pauses that grow to ten
//! seconds, and the same fault is said once and not with each try.

mod certificate;
pub mod client;
pub mod fault;
pub mod place;
pub mod position;
pub mod producer;
pub mod settings;
pub mod statistics;
pub mod topics;
pub mod whole;
