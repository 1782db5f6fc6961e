//! Two processes over copies of one data directory: the one that was cut off and overtaken stops once it is back.

use super::migrated;
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::proxy::{Mode, Proxy};
use std::path::Path;
use url::Url;

#[test]
fn a_process_that_another_one_has_taken_over_from_stops_and_says_so() {
    let Some(database) = migrated("fenced") else { return };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut url = Url::parse(&database.url).unwrap();
    let proxy = Proxy::before(url.port().unwrap());
    url.set_port(Some(proxy.port())).unwrap();
    let start = |dir: &Path, url: &str| {
        let mut run = command(&run_args(dir, &["--rate", "1000", "--symbol-count", "2"]));
        run.env("DATABASE_URL", url)
            .env("TICKWIRE__POSTGRES__RETRY_MAX_DELAY", "200ms")
            .env("TICKWIRE__PROVIDER__WARM_UP", "0s")
            .env("TICKWIRE__CORE__WINDOWS", "1s")
            .env("TICKWIRE__POSTGRES__BATCH__MAX_AGE", "20ms");
        let program = Program::start(run);
        program.line_with(" ready");
        program
    };
    let batches = || {
        let found = database.rows("SELECT batch FROM progress");
        found.first().map_or(0, |batch| batch.parse::<u64>().unwrap())
    };
    let goes_on = || {
        let before = batches();
        wait_for("some batches", || (batches() > before + 5).then_some(()));
    };
    let first = start(dirs[0].path(), url.as_str());
    goes_on();
    first.stop();
    for file in std::fs::read_dir(dirs[0].path()).unwrap() {
        let path = file.unwrap().path();
        std::fs::copy(&path, dirs[1].path().join(path.file_name().unwrap())).unwrap();
    }
    let mut overtaken = start(dirs[0].path(), url.as_str());
    goes_on();
    proxy.set(Mode::Close);
    overtaken.line_with("failed to write the history");
    let other = start(dirs[1].path(), &database.url);
    goes_on();
    proxy.set(Mode::Pass);
    wait_for("its end", || overtaken.has_ended().then_some(()));
    let ended = overtaken.wait();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: this process stops, since the history is another one's"), "{last}");
    goes_on();
    let health = other.get("REST", "/health").unwrap().json();
    assert_eq!(health["components"]["history"].as_str(), Some("healthy"), "{health}");
    other.stop();
}
