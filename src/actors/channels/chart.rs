//! The picture of the last bars that goes with a mail.
//!
//! Promises: a PNG of [`SIZE`] pixels, drawn in memory, with no font and no library of the system: the same bars give the same
//! picture on every machine. On failure: no picture; a mail without one says as much.

use super::text::last_bars;
use crate::models::notification::ChartBar;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::prelude::{
    BitMapBackend, CandleStick, ChartBuilder, DrawingBackend, IntoDrawingArea, IntoFont, LabelAreaPosition,
    PathElement, RGBColor, WHITE,
};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};

/// Width and height in pixels.
pub const SIZE: (u32, u32) = (640, 260);

const RISE: RGBColor = RGBColor(0x2e, 0x7d, 0x32);
const FALL: RGBColor = RGBColor(0xc6, 0x28, 0x28);
const LAST: RGBColor = RGBColor(0x15, 0x65, 0xc0);
const GRID: RGBColor = RGBColor(0xe0, 0xe0, 0xe0);
/// The height of letters.
const HEIGHT: RasterHeight = RasterHeight::Size16;
/// Room for prices.
const PRICE_WIDTH: u32 = 90;
/// Room for times.
const TIME_HEIGHT: u32 = 24;
/// Digits that a price shows at the most.
const DIGITS_MAX: i32 = 9;

/// Draws bars. `None` for fewer than two, or where nothing can be drawn of them.
#[must_use]
pub fn png(bars: &[ChartBar]) -> Option<Vec<u8>> {
    let is_drawable = |bar: &&ChartBar| {
        [bar.open, bar.high, bar.low, bar.close].iter().all(|price| price.is_finite() && price.abs() < 1e15)
    };
    let bars: Vec<ChartBar> = last_bars(bars).iter().filter(is_drawable).copied().collect();
    if bars.len() < 2 {
        return None;
    }
    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    draw(&bars, &mut pixels).ok()?;
    encode(&pixels).ok()
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

type DrawError = Box<dyn std::error::Error>;

fn draw(bars: &[ChartBar], pixels: &mut [u8]) -> Result<(), DrawError> {
    let low = bars.iter().map(|bar| bar.low).fold(f64::INFINITY, f64::min);
    let high = bars.iter().map(|bar| bar.high).fold(f64::NEG_INFINITY, f64::max);
    // A flat market has a span too, or there would be nothing to divide by.
    let span = (high - low).max(high.abs() * 1e-6).max(1e-9);
    let digits = (2 - span.log10().floor() as i32).clamp(0, DIGITS_MAX) as usize;
    let last = bars.last().map_or(0.0, |bar| bar.close);
    let area = Lettered(BitMapBackend::with_buffer(pixels, SIZE)).into_drawing_area();
    area.fill(&WHITE)?;
    let end = bars.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .set_label_area_size(LabelAreaPosition::Right, PRICE_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, TIME_HEIGHT)
        .build_cartesian_2d(-0.5..end - 0.5, low - span * 0.05..high + span * 0.05)?;
    let time = |at: &f64| {
        let bar = (at.round() >= 0.0).then(|| bars.get(at.round() as usize)).flatten();
        // The hour and the minute are enough: the mail has the whole time.
        bar.and_then(|bar| bar.start.to_rfc3339().get(11..16).map(str::to_owned)).unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&time)
        .y_label_formatter(&|price| format!("{price:.digits$}"))
        .label_style(("sans-serif", HEIGHT.val() as u32).into_font())
        .draw()?;
    chart.draw_series([PathElement::new(vec![(-0.5, last), (end - 0.5, last)], LAST)])?;
    let width = (f64::from(SIZE.0 - PRICE_WIDTH) / end * 0.6).clamp(1.0, 15.0) as u32;
    chart.draw_series(bars.iter().enumerate().map(|(at, bar)| {
        let prices = (bar.open, bar.high, bar.low, bar.close);
        CandleStick::new(at as f64, prices.0, prices.1, prices.2, prices.3, RISE, FALL, width)
    }))?;
    area.present()?;
    Ok(())
}

/// A picture that has letters of its own: those of plotters come from the system's fonts, which a container may lack.
struct Lettered<'p>(BitMapBackend<'p>);

type BackendError<'p> = DrawingErrorKind<<BitMapBackend<'p> as DrawingBackend>::ErrorType>;

impl<'p> DrawingBackend for Lettered<'p> {
    type ErrorType = <BitMapBackend<'p> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Result<(), BackendError<'p>> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Result<(), BackendError<'p>> {
        self.0.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Result<(), BackendError<'p>> {
        self.0.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), BackendError<'p>> {
        self.0.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), BackendError<'p>> {
        self.0.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Result<(), BackendError<'p>> {
        let (width, height) = text_size(text);
        let left = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - width / 2,
            HPos::Right => x - width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => y,
            VPos::Center => y - height / 2,
            VPos::Bottom => y - height,
        };
        let rgb = style.color().rgb;
        let letters = text.chars().filter_map(|c| get_raster(c, FontWeight::Regular, HEIGHT));
        for (letter, left) in letters.zip((left..).step_by(letter_width())) {
            for (row, y) in letter.raster().iter().zip(top..) {
                for (intensity, x) in row.iter().zip(left..) {
                    let color = BackendColor { alpha: f64::from(*intensity) / 255.0, rgb };
                    self.0.draw_pixel((x, y), color)?;
                }
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        _: &S,
    ) -> Result<(u32, u32), BackendError<'p>> {
        let (width, height) = text_size(text);
        Ok((width.unsigned_abs(), height.unsigned_abs()))
    }
}

/// Returns how wide each letter is.
const fn letter_width() -> usize {
    get_raster_width(FontWeight::Regular, HEIGHT)
}

/// Returns the width and the height of a text.
fn text_size(text: &str) -> (i32, i32) {
    ((text.chars().count() * letter_width()) as i32, HEIGHT.val() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::channels::sample::sample;

    /// Returns the pixels of a picture.
    fn decode(file: &[u8]) -> Vec<[u8; 3]> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a picture");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a whole picture");
        assert_eq!((info.width, info.height), SIZE);
        pixels.as_chunks().0.to_vec()
    }

    #[test]
    fn a_picture_shows_rising_and_falling_bars_the_last_price_and_labels() {
        let bars = sample(None, None).bars;
        let file = png(&bars).expect("a picture");
        assert_eq!(png(&bars).expect("a picture"), file, "the same bars give the same picture");
        assert!(file.len() < 60_000, "{} bytes", file.len());
        let pixels = decode(&file);
        let count =
            |color: RGBColor| pixels.iter().filter(|pixel| **pixel == [color.0, color.1, color.2]).count();
        for color in [RISE, FALL, LAST, GRID, WHITE] {
            assert!(count(color) > 100, "{color:?}: {}", count(color));
        }
        let labels = pixels.chunks(SIZE.0 as usize).flat_map(|row| &row[(SIZE.0 - PRICE_WIDTH) as usize..]);
        assert!(
            labels.filter(|pixel| pixel.iter().all(|part| *part < 80)).count() > 100,
            "prices are written"
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_no_picture() {
        let bar =
            |price| ChartBar { open: price, high: price, low: price, close: price, ..ChartBar::default() };
        assert_eq!(png(&[]), None);
        assert_eq!(png(&[bar(1.0)]), None);
        assert_eq!(png(&[bar(f64::NAN), bar(f64::INFINITY), bar(1.0)]), None);
        for price in [0.0, 1e-8, 5.0, -37.63, 1e12] {
            assert!(png(&[bar(price), bar(price)]).is_some(), "a flat market at {price}");
        }
    }
}
