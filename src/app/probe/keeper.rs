//! Keeps raw frames in a file.
//!
//! Promises: whoever hands a frame over is never held up by the disk: a thread of its own writes, with room for 65,536 frames
//! that wait. When there is no more room, or the disk takes nothing, that is reported at the end, since a recording with
//! holes in it is none. A file that is there is not overwritten unless that is asked for.

use crate::actors::ingest::recording::{Header, Origin, RecordedFrame};
use crate::models::time::Nanos;
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// Frames that may wait for the disk: some seconds of the busiest stream.
const WAITING_MAX: usize = 1 << 16;

/// A recording under way.
pub(super) struct Keeper {
    path: PathBuf,
    /// `None` once it has ended.
    writer: Mutex<Option<Writer>>,
    num_lost: AtomicU64,
}

struct Writer {
    frames: SyncSender<String>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Keeper {
    /// Begins a file.
    ///
    /// # Errors
    /// When it is there already, or cannot be written.
    pub fn create(path: &Path, is_forced: bool, header: &Header) -> anyhow::Result<Keeper> {
        let mut options = OpenOptions::new();
        options.write(true);
        if is_forced {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let shown = path.display();
        let file = match options.open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                anyhow::bail!("`{shown}` is there already: name another file, or overwrite it with `--force`")
            }
            opened => opened.with_context(|| format!("cannot write `{shown}`"))?,
        };
        let mut first = serde_json::to_string(header).context("the header cannot be written")?;
        first.push('\n');
        let (frames, waiting) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("recorder".to_owned());
        let thread = thread.spawn(move || write(file, &first, &waiting)).context("no thread for the file")?;
        let writer = Mutex::new(Some(Writer { frames, thread }));
        Ok(Keeper { path: path.to_owned(), writer, num_lost: AtomicU64::new(0) })
    }

    /// Keeps a frame.
    pub fn keep(&self, received: Nanos, origin: Origin, frame: &str) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &*writer else { return };
        if writer.frames.try_send(RecordedFrame::line(received, origin, frame)).is_err() {
            self.num_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the file. Returns how many frames are in it.
    ///
    /// # Errors
    /// When frames are missing in it.
    pub fn finish(&self) -> anyhow::Result<u64> {
        let shown = self.path.display();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Writer { frames, thread }) = writer else { return Ok(0) };
        drop(frames);
        let written =
            thread.join().map_err(|_| anyhow::anyhow!("the thread that writes `{shown}` panicked"))?;
        let num_frames = written.with_context(|| format!("`{shown}` was not written to its end"))?;
        let num_lost = self.num_lost.load(Ordering::Relaxed);
        anyhow::ensure!(
            num_lost == 0,
            "{num_lost} frames are missing in `{shown}`: the disk did not take them in time"
        );
        Ok(num_frames)
    }
}

fn write(file: File, header: &str, frames: &Receiver<String>) -> io::Result<u64> {
    let mut file = BufWriter::new(file);
    file.write_all(header.as_bytes())?;
    let mut num_frames = 0;
    file.flush()?;
    while let Ok(frame) = frames.recv() {
        file.write_all(frame.as_bytes())?;
        num_frames += 1;
        for frame in frames.try_iter() {
            file.write_all(frame.as_bytes())?;
            num_frames += 1;
        }
        // Nothing waits: what there is can be read already, also if the process is killed.
        file.flush()?;
    }
    file.get_ref().sync_all()?;
    Ok(num_frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::config::VenueConfig;
    use crate::actors::ingest::venue::Instruments;
    use crate::models::symbol::SymbolSpec;

    #[test]
    fn frames_are_kept_and_no_file_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("frames.jsonl");
        let header = Header::new("coinbase", &VenueConfig::default(), &Instruments::default(), |_| {
            SymbolSpec::named("A")
        });
        let keeper = Keeper::create(&path, false, &header).expect("it is new");
        keeper.keep(Nanos(1), Origin::Connection(0), "one");
        keeper.keep(Nanos(2), Origin::Connection(1), "two");
        assert_eq!(keeper.finish().expect("written"), 2);
        keeper.keep(Nanos(3), Origin::Connection(1), "too late");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text.lines().count(), 3);
        assert!(text.ends_with("{\"received_ns\":2,\"connection\":1,\"frame\":\"two\"}\n"), "{text}");
        let refused = Keeper::create(&path, false, &header).err().expect("it is there").to_string();
        assert!(refused.contains("`--force`"), "{refused}");
        assert_eq!(Keeper::create(&path, true, &header).expect("asked for").finish().expect("written"), 0);
    }
}
