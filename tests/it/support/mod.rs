//! What several subjects of the integration tests share.

pub mod anomalies;
pub mod fixtures;
pub mod influxdb;
pub mod kafka;
pub mod outcome;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod python;
pub mod receiver;
pub mod redis;
pub mod rows;
pub mod scenario;
pub mod shared;
pub mod skip;
pub mod tls;
