//! Kafka: the client's set-up, and the topics, against a real broker.

mod client;
mod schemas;
mod secure;
mod topics;
