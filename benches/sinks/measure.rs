//! What a case took, and how it is printed.

use std::time::Duration;

/// CPU time that the process has used, all threads together.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Prints a case as a line of JSON.
pub fn print(what: &str, unit: &str, num: usize, took: Duration, cpu: Duration) {
    println!(
        "{{\"what\": \"{what}\", \"unit\": \"{unit}\", \"per_second\": {:.0}, \"cpu_seconds_per_million\": {:.3}}}",
        num as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / num as f64,
    );
}
