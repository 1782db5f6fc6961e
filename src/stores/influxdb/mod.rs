//! InfluxDB, and other servers that take its line protocol at `/api/v2/write`: `VictoriaMetrics`, InfluxDB 3.
//!
//! [`mod@line`] turns results into points, [`client`] sends them, [`answer`] reads what a server says to that, [`setup`] makes
//! the bucket and the task that downsamples it where a server has such things, [`downsample`] is the text of that task.
//!
//! Promises: a point that is written again is the same point. On failure: an error says whether another try can help, and
//! never shows the token.

pub mod answer;
pub mod client;
pub mod downsample;
pub mod line;
pub mod setup;
