//! The settings that change results. Two runs over one log agree only if these agree.

use super::detection::settings::DetectionSettings;
use super::time::{DAY, HOUR, MINUTE, SECOND, Width};
use serde::{Deserialize, Serialize};

/// Settings of the core, spans in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreSettings {
    /// How far the watermark stays behind the newest event time.
    pub lateness: i64,
    /// How long after its close a window still takes entries.
    pub horizon: i64,
    /// How long a known gap keeps the windows it touches from being sealed.
    pub gap_hold: i64,
    /// How far an event time may be ahead of its received time and still move the watermark.
    pub future_tolerance: i64,
    /// Widths of the windows, ascending; each a multiple of the first.
    pub widths: Vec<Width>,
    /// Whether each bar is told once more when it is sealed. No result depends on it, so it is not in the fingerprint.
    #[serde(skip)]
    pub tells_seals: bool,
    /// What is unusual; `None` looks for nothing. Bars do not depend on it, so it is no part of the fingerprint, and a run with
    /// other thresholds goes on from the same checkpoints.
    #[serde(skip)]
    pub detection: Option<DetectionSettings>,
}

impl Default for CoreSettings {
    fn default() -> Self {
        let width = |nanos: i64| Width::new(nanos).expect("divides a day");
        CoreSettings {
            lateness: 2 * SECOND,
            horizon: 5 * MINUTE,
            gap_hold: 10 * MINUTE,
            future_tolerance: SECOND,
            widths: [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY].map(width).to_vec(),
            detection: None,
            tells_seals: false,
        }
    }
}

impl CoreSettings {
    /// Returns the smallest width: trades enter its windows only.
    ///
    /// # Panics
    /// When there is no width: `validate` refuses that.
    #[must_use]
    pub fn base(&self) -> Width {
        *self.widths.first().expect("validated: at least one width")
    }

    /// Returns the width of the bars that a rule judges which names none: the one that detection judges.
    #[must_use]
    pub fn rule_width(&self) -> Width {
        let track = self.detection.as_ref().map(|detection| detection.track(&self.widths));
        track
            .and_then(|track| self.widths.get(track))
            .or(self.widths.first())
            .copied()
            .unwrap_or(Width::MINUTE)
    }

    /// Returns every fault.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.widths.split_first() {
            None => faults.push("no window is given; at least one is needed".to_owned()),
            Some((base, rest)) => {
                let mut before = *base;
                for width in rest {
                    if *width <= before {
                        faults.push(format!("window {width} stands after {before}: widths ascend"));
                    }
                    if width.nanos() % base.nanos() != 0 {
                        faults.push(format!("window {width} is no multiple of the smallest, {base}"));
                    }
                    before = *width;
                }
            }
        }
        for (name, value) in
            [("lateness", self.lateness), ("horizon", self.horizon), ("gap_hold", self.gap_hold)]
        {
            if value < 0 {
                faults.push(format!("{name} is negative"));
            }
        }
        faults
    }

    /// Returns a hash that differs where settings do; stands in checkpoints.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let bytes = postcard::to_stdvec(self).expect("settings are plain data");
        let hash = blake3::hash(&bytes);
        u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_all_named() {
        assert!(CoreSettings::default().validate().is_empty());
        let width = |text| Width::parse(text).expect("valid");
        let settings = CoreSettings {
            widths: vec![width("2min"), width("5min"), width("4min")],
            lateness: -1,
            ..CoreSettings::default()
        };
        assert_eq!(settings.validate().len(), 3, "{:?}", settings.validate());
        assert_ne!(settings.fingerprint(), CoreSettings::default().fingerprint());
        let told = CoreSettings { tells_seals: true, ..CoreSettings::default() };
        assert_eq!(told.fingerprint(), CoreSettings::default().fingerprint());
    }
}
