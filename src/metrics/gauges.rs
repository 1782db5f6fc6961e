//! Reads gauges back, for those who judge what others have set.

use prometheus::core::Collector;
use prometheus::proto::{LabelPair, Metric, MetricFamily};

/// Returns the value of each gauge of a vector, under its labels' values with `/` between.
pub(super) fn by_labels(gauges: &impl Collector) -> Vec<(String, f64)> {
    let families = gauges.collect();
    let series = families.iter().flat_map(MetricFamily::get_metric);
    let read = |metric: &Metric| {
        let labels: Vec<&str> = metric.get_label().iter().map(LabelPair::value).collect();
        (labels.join("/"), metric.get_gauge().get_value())
    };
    series.map(read).collect()
}
