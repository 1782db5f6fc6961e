//! Kafka: the client's set-up, and the topics, against a real broker.

mod client;
mod letters;
mod logs;
mod outages;
mod schemas;
mod secure;
mod topics;
mod world;
