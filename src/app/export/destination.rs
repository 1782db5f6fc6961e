//! Where an export is written: a folder, or a bucket of S3 or of what speaks its protocol.
//!
//! Promises: a file is whole when it appears under its name. In a folder it is written beside the others under another
//! name and moved into place; into a bucket it goes as one object, which appears when all of its parts are there. One
//! process at a time exports into a folder. On failure nothing appears; what is left in the folder `_tickwire/staging` is
//! removed by the next run.
//!
//! Credentials come from the environment, under the names that every client of S3 reads, and are never shown.

use super::parquet_file::{Finished, sync};
use crate::app::instruments::WrongUse;
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as ObjectPath;
use object_store::{
    Certificate, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
};
use std::env;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// The folder of what is no data, in the root of an export. Readers of data sets pass over names that begin so.
pub(super) const OWN_FOLDER: &str = "_tickwire";

/// Files up to this size go into a bucket by one request; larger ones in parts of it, of which some are under way.
const PART_BYTES: usize = 8 << 20;
const PARTS_UNDER_WAY: usize = 4;

/// Files that are moved into place at once: a bucket takes its time for each.
pub(super) const PUBLISHED_AT_ONCE: usize = 8;

/// How long a store that does not answer is asked.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 6;

/// Where the variables of the environment give credentials; one of them must be there, since without any the store's
/// client would ask the network of a cloud that this machine may not be in.
const CREDENTIALS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
];

/// Where an export is written.
pub(super) enum Destination {
    Folder(Folder),
    Bucket(Bucket),
}

pub(super) struct Folder {
    root: PathBuf,
    staging: PathBuf,
    _lock: File,
}

pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The destination as it was named.
    url: String,
    prefix: String,
    /// Larger files go in parts of this size.
    part_bytes: usize,
    staging: TempDir,
}

impl Destination {
    /// Opens `s3://BUCKET[/PREFIX]`, or a folder, which is made where it is missing.
    pub(super) fn open(out: &str) -> anyhow::Result<Destination> {
        match out.strip_prefix("s3://") {
            Some(place) => Bucket::open(out, place).map(Destination::Bucket),
            None if out.contains("://") => {
                Err(WrongUse(format!("`--out {out}` is neither a folder nor `s3://BUCKET/PREFIX`")).into())
            }
            None => Folder::open(Path::new(out)).map(Destination::Folder),
        }
    }

    /// Returns the folder in which files are written before they are moved into place.
    pub(super) fn staging(&self) -> &Path {
        match self {
            Destination::Folder(folder) => &folder.staging,
            Destination::Bucket(bucket) => bucket.staging.path(),
        }
    }

    /// Returns small files of [`OWN_FOLDER`] with an extension, with their names.
    pub(super) async fn own_files(&self, extension: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        match self {
            Destination::Folder(folder) => own_files(&folder.root, extension),
            Destination::Bucket(bucket) => bucket.own_files(extension).await,
        }
    }

    /// Writes a small file of [`OWN_FOLDER`], over one that is there.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        match self {
            Destination::Folder(folder) => {
                let staged = folder.staging.join(name.replace('/', "~"));
                fs::write(&staged, bytes).with_context(|| format!("cannot write `{}`", staged.display()))?;
                folder.publish(&staged, &format!("{OWN_FOLDER}/{name}"))
            }
            Destination::Bucket(bucket) => bucket.put(&format!("{OWN_FOLDER}/{name}"), bytes.into()).await,
        }
    }

    /// Moves finished files into their places, some at once.
    pub(super) async fn publish_all(&self, files: &[Finished]) -> anyhow::Result<()> {
        let moves = stream::iter(files).map(|file| self.publish(file));
        moves.buffer_unordered(PUBLISHED_AT_ONCE).try_collect::<()>().await
    }

    async fn publish(&self, file: &Finished) -> anyhow::Result<()> {
        match self {
            Destination::Folder(folder) => folder.publish(&file.staged, &file.name),
            Destination::Bucket(bucket) => bucket.publish(file).await,
        }
    }
}

impl Folder {
    fn open(root: &Path) -> anyhow::Result<Folder> {
        let own = root.join(OWN_FOLDER);
        let failed = || format!("cannot write into `{}`", root.display());
        fs::create_dir_all(&own).with_context(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(own.join("lock"));
        let lock = lock.with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("another export writes into `{}`: wait for its end", root.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        let staging = own.join("staging");
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(failed),
            _ => {}
        }
        fs::create_dir(&staging).with_context(failed)?;
        Ok(Folder { root: root.to_owned(), staging, _lock: lock })
    }

    fn publish(&self, staged: &Path, name: &str) -> anyhow::Result<()> {
        let place = self.root.join(name);
        let folder = place.parent().expect("a file is in a folder");
        let publish = || {
            fs::create_dir_all(folder)?;
            sync(staged)?;
            fs::rename(staged, &place)?;
            sync(folder)
        };
        publish().with_context(|| format!("cannot write `{}`", place.display()))
    }
}

/// Returns small files of an export in a folder.
pub(super) fn own_files(root: &Path, extension: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let own = root.join(OWN_FOLDER);
    let mut found = Vec::new();
    let entries = match fs::read_dir(&own) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("cannot read `{}`", own.display()))?,
    };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read `{}`", own.display()))?.path();
        if path.extension().is_some_and(|of| of == extension) {
            let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, bytes));
        }
    }
    Ok(found)
}

impl Bucket {
    fn open(url: &str, place: &str) -> anyhow::Result<Bucket> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let wrong = |problem: &str| WrongUse(format!("`--out {url}`: {problem}"));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket").into());
        }
        let prefix = ObjectPath::parse(prefix).map_err(|error| wrong(&error.to_string()))?;
        if CREDENTIALS.iter().all(|name| env::var_os(name).is_none()) {
            return Err(wrong(
                "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_METADATA_ENDPOINT \
                 where the machine has a role",
            )
            .into());
        }
        let is_http_allowed =
            env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"];
        let is_plain = |name: &&str| env::var(name).is_ok_and(|value| value.starts_with("http://"));
        if let Some(name) = endpoints.into_iter().find(is_plain).filter(|_| !is_http_allowed) {
            return Err(wrong(&format!(
                "{name} is not encrypted: everybody on the way could read the data; AWS_ALLOW_HTTP=true allows it"
            ))
            .into());
        }
        let mut options = ClientOptions::new().with_allow_http(is_http_allowed);
        if let Some(file) = env::var_os("AWS_CA_BUNDLE") {
            let file = PathBuf::from(file);
            let failed = || format!("cannot read the certificates in `{}`", file.display());
            let pem = fs::read(&file).with_context(failed)?;
            for certificate in Certificate::from_pem_bundle(&pem).with_context(failed)? {
                options = options.with_root_certificate(certificate);
            }
        }
        let retry =
            RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        let staging = tempfile::Builder::new().prefix("tickwire-export-").tempdir();
        let staging = staging.context("cannot make a folder for temporary files")?;
        Ok(Bucket {
            store: Arc::new(store),
            url: url.to_owned(),
            prefix: prefix.to_string(),
            part_bytes: PART_BYTES,
            staging,
        })
    }

    fn place(&self, name: &str) -> ObjectPath {
        let whole = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        ObjectPath::parse(whole).expect("both halves are paths")
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.url.trim_end_matches('/'))
    }

    async fn own_files(&self, extension: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let failed = || format!("cannot read `{}`", self.shown(OWN_FOLDER));
        let listed: Vec<_> =
            self.store.list(Some(&self.place(OWN_FOLDER))).try_collect().await.with_context(failed)?;
        let mut found = Vec::new();
        for object in listed {
            let Some(name) = object.location.filename() else { continue };
            if name.rsplit_once('.').is_some_and(|(_, of)| of == extension) {
                let read = self.store.get(&object.location).await.with_context(failed)?;
                found.push((name.to_owned(), read.bytes().await.with_context(failed)?.to_vec()));
            }
        }
        Ok(found)
    }

    async fn put(&self, name: &str, payload: PutPayload) -> anyhow::Result<()> {
        let put = self.store.put(&self.place(name), payload).await;
        put.map(|_| ()).with_context(|| format!("cannot write `{}`", self.shown(name)))
    }

    async fn publish(&self, file: &Finished) -> anyhow::Result<()> {
        let reading = || format!("cannot read `{}`", file.staged.display());
        if file.bytes <= self.part_bytes as u64 {
            let bytes = tokio::fs::read(&file.staged).await.with_context(reading)?;
            self.put(&file.name, bytes.into()).await?;
        } else {
            self.publish_in_parts(file)
                .await
                .with_context(|| format!("cannot write `{}`", self.shown(&file.name)))?;
        }
        fs::remove_file(&file.staged).with_context(|| format!("cannot delete `{}`", file.staged.display()))
    }

    async fn publish_in_parts(&self, file: &Finished) -> anyhow::Result<()> {
        let mut input = tokio::fs::File::open(&file.staged).await?;
        let upload = self.store.put_multipart(&self.place(&file.name)).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, self.part_bytes);
        let mut part = vec![0; self.part_bytes];
        loop {
            let outcome = async {
                upload.wait_for_capacity(PARTS_UNDER_WAY).await?;
                anyhow::Ok(input.read(&mut part).await?)
            };
            match outcome.await {
                Ok(0) => break,
                Ok(len) => upload.write(&part[..len]),
                Err(error) => {
                    // Parts that are never completed cost money. That they cannot be removed either is the same failure.
                    upload.abort().await.ok();
                    return Err(error);
                }
            }
        }
        upload.finish().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_large_file_goes_in_parts_and_is_one_object() {
        let staging = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let content: Vec<u8> = (0..1_000_u32).flat_map(u32::to_le_bytes).collect();
        let files = [("a/b.parquet", 1_000), ("a/c%3A.parquet", 10)].map(|(name, len)| {
            let staged = staging.path().join(name.replace('/', "~"));
            fs::write(&staged, &content[..len]).expect("writable");
            Finished { name: name.to_owned(), staged, rows: 1, bytes: len as u64 }
        });
        let bucket = Bucket {
            store: Arc::clone(&store),
            url: "s3://market/x".to_owned(),
            prefix: "x".to_owned(),
            part_bytes: 64,
            staging,
        };
        let destination = Destination::Bucket(bucket);
        destination.publish_all(&files).await.expect("takes everything");
        for file in &files {
            let place = ObjectPath::parse(format!("x/{}", file.name)).expect("a path");
            let found = store.get(&place).await.expect("there").bytes().await.expect("there");
            assert_eq!(found, content[..file.bytes as usize], "{}", file.name);
            assert!(!file.staged.exists(), "nothing is left behind");
        }
        destination.put("m.json", b"1".to_vec()).await.expect("takes everything");
        destination.put("m.json", b"2".to_vec()).await.expect("takes everything");
        let own = destination.own_files("json").await.expect("lists");
        assert_eq!(own, [("m.json".to_owned(), b"2".to_vec())]);
    }
}
