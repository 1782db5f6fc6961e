//! Pins the worker threads of a port to cores, where a port has a thread for every core.
//!
//! A flush wakes all threads of a port at once. The system tends to queue the second behind the first on the same core,
//! and to notice some milliseconds later that another core is idle: a closed bar then takes twice as long to reach all
//! clients. Where there are more cores than threads, the system finds an idle one by itself, and pinning would compete
//! with other programs for the first ones. On failure a thread runs where the system puts it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The cores of the threads of one port.
pub struct Cores {
    /// Empty when threads are not pinned.
    cores: Vec<usize>,
    num_pinned: AtomicUsize,
}

impl Cores {
    /// Distributes the cores that this process may use.
    #[must_use]
    pub fn for_workers(num_workers: usize) -> Cores {
        let allowed = sched_getaffinity(None);
        let allowed = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_ok_and(|allowed| allowed.is_set(core)));
        Cores::among(allowed.collect(), num_workers)
    }

    fn among(cores: Vec<usize>, num_workers: usize) -> Cores {
        let cores = if num_workers < cores.len() { Vec::new() } else { cores };
        Cores { cores, num_pinned: AtomicUsize::new(0) }
    }

    /// Pins the calling thread to the next core; where the system refuses, the thread is left as it was.
    pub fn pin(&self) {
        if let Some(core) = self.next() {
            let mut only = CpuSet::new();
            only.set(core);
            sched_setaffinity(None, &only).ok();
        }
    }

    fn next(&self) -> Option<usize> {
        let nth = self.num_pinned.fetch_add(1, Ordering::Relaxed);
        self.cores.get(nth.checked_rem(self.cores.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns_where_there_is_one_for_each_core_and_are_free_otherwise() {
        let given = |cores: &[usize], num_workers| {
            let cores = Cores::among(cores.to_vec(), num_workers);
            [(); 4].map(|()| cores.next())
        };
        assert_eq!(given(&[2, 5], 2), [Some(2), Some(5), Some(2), Some(5)]);
        assert_eq!(given(&[0, 1, 2], 4), [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(given(&[0, 1, 2], 2), [None; 4]);
        assert_eq!(given(&[], 2), [None; 4]);
    }

    #[test]
    fn a_thread_stays_where_it_was_put() {
        let allowed = sched_getaffinity(None).expect("the system knows");
        let cores = Cores::for_workers(CpuSet::MAX_CPU);
        let kept = std::thread::spawn(move || {
            cores.pin();
            sched_getaffinity(None).expect("the system knows")
        });
        let kept = kept.join().expect("it does not panic");
        let core = (0..CpuSet::MAX_CPU).find(|&core| allowed.is_set(core)).expect("it runs somewhere");
        assert!(kept.count() == 1 && kept.is_set(core));
    }
}
