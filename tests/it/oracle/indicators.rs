//! TA-Lib's formulas over a whole list of closes, straight from their definitions.

use tickwire::models::indicators::IndicatorValues;

/// Returns the indicators after the last of the closes.
pub fn after(closes: &[f64]) -> IndicatorValues {
    let macd = macd_series(closes);
    let signal = ema_series(&macd, 9).last().copied();
    let line = signal.and(macd.last().copied());
    let middle = mean_of_last(closes, 20);
    let deviation = middle.map(|middle| {
        let squares = closes[closes.len() - 20..].iter().map(|close| (close - middle).powi(2)).sum::<f64>();
        (squares / 20.0).sqrt()
    });
    IndicatorValues {
        sma_20: middle,
        sma_50: mean_of_last(closes, 50),
        sma_200: mean_of_last(closes, 200),
        ema_12: ema_series(closes, 12).last().copied(),
        ema_26: ema_series(closes, 26).last().copied(),
        rsi_14: rsi(closes, 14),
        macd: line,
        macd_signal: signal,
        macd_histogram: line.zip(signal).map(|(line, signal)| line - signal),
        bb_upper: middle.zip(deviation).map(|(middle, deviation)| middle + 2.0 * deviation),
        bb_middle: middle,
        bb_lower: middle.zip(deviation).map(|(middle, deviation)| middle - 2.0 * deviation),
    }
}

fn mean_of_last(values: &[f64], n: usize) -> Option<f64> {
    let from = values.len().checked_sub(n)?;
    Some(values[from..].iter().sum::<f64>() / n as f64)
}

/// The EMA from the n-th value on, seeded with the mean of the first n.
fn ema_series(values: &[f64], n: usize) -> Vec<f64> {
    let Some(seed) = values.get(..n) else { return Vec::new() };
    let mut series = vec![seed.iter().sum::<f64>() / n as f64];
    for value in &values[n..] {
        let before = series[series.len() - 1];
        series.push(before + (value - before) * 2.0 / (n as f64 + 1.0));
    }
    series
}

/// Fast less slow EMA from the 26th close on. The fast one is seeded with closes 14 to 25, so that both begin together.
fn macd_series(closes: &[f64]) -> Vec<f64> {
    let slow = ema_series(closes, 26);
    let fast = ema_series(closes.get(14..).unwrap_or(&[]), 12);
    fast.iter().zip(slow).map(|(fast, slow)| fast - slow).collect()
}

fn rsi(closes: &[f64], n: usize) -> Option<f64> {
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let seed = changes.get(..n)?;
    let mut gain = seed.iter().map(|change| change.max(0.0)).sum::<f64>() / n as f64;
    let mut loss = seed.iter().map(|change| (-change).max(0.0)).sum::<f64>() / n as f64;
    for change in &changes[n..] {
        gain = (gain * (n as f64 - 1.0) + change.max(0.0)) / n as f64;
        loss = (loss * (n as f64 - 1.0) + (-change).max(0.0)) / n as f64;
    }
    Some(if gain + loss == 0.0 { 0.0 } else { 100.0 * gain / (gain + loss) })
}
