//! Merges the sources in their order: defaults, file, `.env`, environment, flags; a later one wins.
//!
//! Promises: every key that can be read is merged, whatever is wrong with others, so that all faults are reported at once.

use super::Config;
use super::environment::{self, Variables};
use super::fault::Fault;
use super::layers::{Layers, shown, split};
use super::sources::{Origin, Override, Sources};
use std::collections::BTreeMap;

/// The result of a merge: the good values, their origins, and the faults of the others.
pub(super) struct Merged {
    pub config: Config,
    pub origins: BTreeMap<String, Origin>,
    pub ignored: Vec<String>,
    pub mistakes: Vec<String>,
    pub faults: Vec<Fault>,
}

/// Merges the sources over the defaults.
pub(super) fn merge(sources: &Sources) -> Merged {
    let mut layers = Layers::new();
    if let Some(path) = &sources.file {
        layers.read_file(path);
    }
    let process = Variables::of_process(&sources.environment);
    let dotenv = sources.dotenv.as_deref().map(|path| Variables::of_file(path, &process, &mut layers.faults));
    let (mut ignored, mut mistakes) = (Vec::new(), Vec::new());
    for variables in dotenv.iter().chain([&process]) {
        let aside = environment::apply(variables, sources.is_embedded, &mut layers);
        ignored.extend(aside.ignored);
        mistakes.extend(aside.mistakes);
    }
    ignored.sort();
    ignored.dedup();
    for Override { flag, key, value } in &sources.flags {
        layers.offer(&split(key), std::slice::from_ref(value), &shown(value), Origin::Flag(flag));
    }
    Merged { config: layers.config, origins: layers.origins, ignored, mistakes, faults: layers.faults }
}
