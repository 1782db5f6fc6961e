//! What a server has besides writing, found out at the start: a bucket with its retention and the task that downsamples it,
//! made where they are missing and the token may make them.
//!
//! Only this file knows the crate `influxdb2`, and only its types of requests and answers: its client hides `Retry-After`,
//! sends line protocol uncompressed, takes no certificates of a file, and brings a TLS library of its own.
//!
//! Promises: what is there stays as it is, but for the text of our own task; a retention that differs is said and not
//! changed, since that could delete what somebody relies on. A server without buckets or tasks, and a token that may not
//! make them, are no error: writing works without. On failure: [`InfluxError`] where the server does not answer, or refuses
//! the token itself.

use super::answer::InfluxError;
use super::client::{InfluxClient, Reply};
use super::downsample::Downsampling;
use influxdb2::api::task::CreateTaskRequest;
use influxdb2::models::organization::Organizations;
use influxdb2::models::retention_rule::Type;
use influxdb2::models::{Buckets, HealthCheck, PostBucketRequest, RetentionRule, Tasks};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What is wanted of a server.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether a bucket that is missing is made.
    pub create_bucket: bool,
    /// How long a bucket that is made keeps points; zero is for ever.
    pub retention: Duration,
    /// What is to be downsampled.
    pub downsampling: Option<Downsampling>,
}

/// What a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// What it is.
    pub server: String,
    /// What is so as it was wanted.
    pub present: Vec<String>,
    /// What is not, and why.
    pub missing: Vec<String>,
}

/// What came of a thing that was to be there.
enum Outcome {
    Made,
    Found,
    /// It is not there, or nobody may know.
    Missing(String),
}

/// Finds out what the server has, and makes what is missing.
///
/// # Errors
/// [`InfluxError`] where the server does not answer, or refuses the token itself.
pub async fn prepare(client: &InfluxClient, wanted: &Wanted) -> Result<Features, InfluxError> {
    let server = identify(client).await?;
    let mut features = Features { server: server.name, present: Vec::new(), missing: Vec::new() };
    if !server.has_buckets {
        features.missing.push("it has no buckets that can be made from here, and no tasks".to_owned());
        return Ok(features);
    }
    let bucket = &client.settings().bucket;
    let is_usable = ensure_bucket(client, bucket, wanted, wanted.retention, &mut features).await?;
    let Some(downsampling) = wanted.downsampling.as_ref().filter(|_| is_usable) else { return Ok(features) };
    // What is downsampled is kept: that is what it is for.
    if ensure_bucket(client, &downsampling.to, wanted, Duration::ZERO, &mut features).await? {
        let name = downsampling.task_name();
        match ensure_task(client, downsampling).await {
            Ok(Outcome::Made) => features.present.push(format!("task `{name}` (made)")),
            Ok(Outcome::Found) => features.present.push(format!("task `{name}`")),
            Ok(Outcome::Missing(why)) => features.missing.push(format!("nothing is downsampled: {why}")),
            // Writing does not need it, so it is not waited for.
            Err(error) => features.missing.push(format!("nothing is downsampled: {error}")),
        }
    }
    Ok(features)
}

/// A server, as it calls itself.
struct Server {
    name: String,
    has_buckets: bool,
}

async fn identify(client: &InfluxClient) -> Result<Server, InfluxError> {
    let health = client.get("health", &[]).await?;
    let named = read::<HealthCheck>(&health).filter(|health| health.name == "influxdb");
    if let Some(version) = named.and_then(|health| health.version) {
        // InfluxDB 3 answers there too, and has neither.
        let has_buckets = !version.trim_start_matches('v').starts_with('3');
        return Ok(Server { name: format!("InfluxDB {version}"), has_buckets });
    }
    let ping = if health.status == 401 { health } else { client.get("ping", &[]).await? };
    match ping.status {
        401 | 403 => Err(InfluxError::Permanent { cause: ping.words() }),
        500.. | 429 => Err(ping.error()),
        _ => {
            let version = ping.version.as_deref().unwrap_or("without a version");
            Ok(Server { name: format!("a server of the same write API, {version}"), has_buckets: false })
        }
    }
}

/// Has a bucket be there. Returns false where it is missing.
async fn ensure_bucket(
    client: &InfluxClient,
    name: &str,
    wanted: &Wanted,
    retention: Duration,
    features: &mut Features,
) -> Result<bool, InfluxError> {
    let org = client.settings().org.as_str();
    let listed = client.get("api/v2/buckets", &[("org", org), ("name", name)]).await?;
    match listed.status {
        401 => return Err(InfluxError::Permanent { cause: listed.words() }),
        500.. | 429 => return Err(listed.error()),
        _ => {}
    }
    let found =
        read::<Buckets>(&listed).and_then(|list| list.buckets.into_iter().find(|bucket| bucket.name == name));
    if let Some(bucket) = found {
        let kept =
            bucket.retention_rules.first().map_or(0, |rule| u64::try_from(rule.every_seconds).unwrap_or(0));
        let as_wanted = kept == retention.as_secs();
        let note = if as_wanted { "" } else { " (as it was, not as configured)" };
        features.present.push(format!("bucket `{name}` that keeps {}{note}", shown(kept)));
        return Ok(true);
    }
    if !wanted.create_bucket {
        features.missing.push(format!("bucket `{name}` is not seen, and `influxdb.create_bucket` is false"));
        return Ok(false);
    }
    match create_bucket(client, name, retention).await? {
        Outcome::Made => {
            features
                .present
                .push(format!("bucket `{name}` that keeps {} (made)", shown(retention.as_secs())));
            Ok(true)
        }
        Outcome::Found => {
            features.present.push(format!("bucket `{name}`"));
            Ok(true)
        }
        Outcome::Missing(why) => {
            features.missing.push(format!("bucket `{name}` is not seen and cannot be made: {why}"));
            Ok(false)
        }
    }
}

async fn create_bucket(
    client: &InfluxClient,
    name: &str,
    retention: Duration,
) -> Result<Outcome, InfluxError> {
    let org = client.settings().org.as_str();
    let listed = client.get("api/v2/orgs", &[("org", org)]).await?;
    let id = read::<Organizations>(&listed)
        .and_then(|list| list.orgs.into_iter().find(|found| found.name == org)?.id);
    let Some(org_id) = id else {
        return Ok(Outcome::Missing(format!("organization `{org}` is not seen ({})", listed.status)));
    };
    let seconds = i32::try_from(retention.as_secs()).unwrap_or(i32::MAX);
    let rules = if seconds == 0 { Vec::new() } else { vec![RetentionRule::new(Type::Expire, seconds)] };
    let request =
        PostBucketRequest { retention_rules: rules, ..PostBucketRequest::new(org_id, name.to_owned()) };
    let reply = client.send_json(Method::POST, "api/v2/buckets", json(&request)).await?;
    Ok(match reply.status {
        200..300 => Outcome::Made,
        // Somebody else has made it meanwhile.
        422 if reply.body.contains("conflict") || reply.body.contains("already exists") => Outcome::Found,
        500.. | 429 => return Err(reply.error()),
        _ => Outcome::Missing(reply.words()),
    })
}

async fn ensure_task(client: &InfluxClient, downsampling: &Downsampling) -> Result<Outcome, InfluxError> {
    #[derive(Serialize)]
    struct NewText<'a> {
        flux: &'a str,
    }

    let (name, flux) = (downsampling.task_name(), downsampling.flux());
    let listed = client.get("api/v2/tasks", &[("org", &downsampling.org), ("name", &name)]).await?;
    if !listed.is_success() {
        return Ok(Outcome::Missing(listed.words()));
    }
    let found = read::<Tasks>(&listed).and_then(|list| list.tasks.into_iter().find(|task| task.name == name));
    let (reply, outcome) = match found {
        Some(task) if task.flux == flux => return Ok(Outcome::Found),
        Some(task) => {
            let path = format!("api/v2/tasks/{}", task.id);
            (client.send_json(Method::PATCH, &path, json(&NewText { flux: &flux })).await?, Outcome::Found)
        }
        None => {
            let request =
                CreateTaskRequest { org: Some(downsampling.org.clone()), ..CreateTaskRequest::new(flux) };
            (client.send_json(Method::POST, "api/v2/tasks", json(&request)).await?, Outcome::Made)
        }
    };
    Ok(if reply.is_success() { outcome } else { Outcome::Missing(reply.words()) })
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    // What cannot be read is of another server, or an error: both are told apart by the status.
    reply.is_success().then(|| serde_json::from_str(&reply.body).ok())?
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data")
}

/// Returns how long a bucket keeps points, for people.
fn shown(seconds: u64) -> String {
    match seconds {
        0 => "points for ever".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("points for {} days", seconds / 86_400),
        _ => format!("points for {seconds} s"),
    }
}
