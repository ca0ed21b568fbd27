//! Plots as SVG: lines of points over two axes, each linear or logarithmic.
//!
//! A logarithmic axis is drawn as a linear one of the logarithms, labelled with the numbers themselves.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::error::Error;

/// Size of the picture without its legend, in pixels; an SVG scales.
const SIZE: (u32, u32) = (960, 460);

/// Height of one line of the legend.
const LEGEND_LINE: u32 = 22;

/// Where the legend's lines start: below the left end of the axis.
const LEGEND_LEFT: i32 = 84;

/// Room on an axis beyond its first and last point, as a fraction of its length.
const MARGIN: f64 = 0.05;

/// The most ticks on an axis.
const TICKS_MAX: usize = 10;

/// Distinguishable without seeing red or green, and visible on white and on black.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(127, 127, 127),
];

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    /// File name without extension, unique within a report.
    pub(crate) name: String,
    /// Heading.
    pub(crate) title: String,
    /// The horizontal axis.
    pub(crate) x: Axis,
    /// The vertical axis.
    pub(crate) y: Axis,
    /// What is drawn.
    pub(crate) lines: Vec<Line>,
}

/// One axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Title, with unit.
    pub(crate) title: &'static str,
    /// How numbers are placed on it.
    pub(crate) scale: Scale,
}

/// How numbers are placed on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly, from zero.
    FromZero,
    /// The same for counts: only whole numbers are labelled.
    Whole,
    /// By their logarithms; only numbers above zero are drawn.
    Logarithmic,
    /// Percentiles by their nines: 90, 99 and 99.9 evenly spaced; 100 is not drawn.
    Nines,
}

/// Points in drawing order.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Its text in the legend.
    pub(crate) name: String,
    /// Numbers on both axes.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Scale {
    /// Where a number is placed; `None` if it has no place.
    fn place(self, number: f64) -> Option<f64> {
        let place = match self {
            Self::FromZero | Self::Whole => number,
            Self::Logarithmic => number.log10(),
            Self::Nines => -(1.0 - number / 100.0).log10(),
        };
        place.is_finite().then_some(place)
    }

    /// The number at a place.
    fn label(self, place: f64) -> String {
        let number = match self {
            Self::FromZero | Self::Whole => place,
            Self::Logarithmic => 10_f64.powf(place),
            Self::Nines => 100.0 * (1.0 - 10_f64.powf(-place)),
        };
        short(number)
    }

    /// First and last place of an axis that shows all of `places`.
    fn range(self, places: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
        for place in places {
            (first, last) = (first.min(place), last.max(place));
        }
        if self != Self::Logarithmic {
            first = first.min(0.0);
        }
        let room = ((last - first) * MARGIN).max(0.01);
        let first = if self == Self::Logarithmic { first - room } else { first };
        (first, last + room)
    }

    /// The places that are labelled: round numbers, not the round places of a linear axis.
    fn ticks(self, range: (f64, f64)) -> Vec<f64> {
        match self {
            Self::FromZero => even_ticks(range.1, 0.0),
            Self::Whole => even_ticks(range.1, 1.0),
            Self::Logarithmic => logarithmic_ticks(range),
            Self::Nines => {
                let nines = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
                nines
                    .into_iter()
                    .filter_map(|number| self.place(number))
                    .filter(|at| *at <= range.1)
                    .collect()
            }
        }
    }
}

/// From zero to `last` in steps of 1, 2 or 5 times a power of ten, none smaller than `least`.
fn even_ticks(last: f64, least: f64) -> Vec<f64> {
    let power = 10_f64.powf((last / TICKS_MAX as f64).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fits = |step: &f64| *step >= least && last / step <= TICKS_MAX as f64;
    let step = steps.into_iter().find(fits).unwrap_or(least.max(steps[3]));
    (0_u32..)
        .map(|number| f64::from(number) * step)
        .take_while(|tick| *tick <= last)
        .take(TICKS_MAX + 1)
        .collect()
}

/// Logarithms of 1, 2 and 5 times the powers of ten in the range; if these are too many, of the powers alone, or of
/// every third one.
fn logarithmic_ticks((first, last): (f64, f64)) -> Vec<f64> {
    let within = |factors: &[f64], every: i32| -> Vec<f64> {
        // Nothing beyond these powers of ten is a number of jobs, seconds or bytes.
        let powers = (-12..=15).filter(|power| power % every == 0).map(f64::from);
        let all = powers.flat_map(|power| factors.iter().map(move |factor| power + factor.log10()));
        all.filter(|tick| (first..=last).contains(tick)).collect()
    };
    let candidates = [within(&[1.0, 2.0, 5.0], 1), within(&[1.0], 1), within(&[1.0], 3)];
    candidates.into_iter().find(|ticks| ticks.len() <= TICKS_MAX).unwrap_or_default()
}

/// `1.5M`, `20k`, `300`, `99.9`, `0.25`.
fn short(number: f64) -> String {
    let (number, unit) = match number.abs() {
        size if size >= 999_500.0 => (number / 1e6, "M"),
        size if size >= 9_995.0 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let text = format!("{number:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Plot {
    /// The picture, without a background: the reader may recolour its black lines and texts. `None` if no point has a
    /// place on both axes.
    ///
    /// # Errors
    /// The drawing library refuses.
    pub(super) fn svg(&self) -> Result<Option<String>, Error> {
        let lines: Vec<Placed<'_>> = self.lines.iter().map(|line| self.placed(line)).collect();
        let places = || lines.iter().flat_map(|line| line.places.iter());
        if places().next().is_none() {
            return Ok(None);
        }
        let x = self.x.scale.range(places().map(|place| place.0));
        let y = self.y.scale.range(places().map(|place| place.1));
        let mut svg = String::new();
        self.draw(&mut svg, &lines, x, y).map_err(|error| Error::Plot(error.to_string()))?;
        Ok(Some(svg))
    }

    fn placed<'a>(&self, line: &'a Line) -> Placed<'a> {
        let place = |(x, y): &(f64, f64)| Some((self.x.scale.place(*x)?, self.y.scale.place(*y)?));
        Placed { name: &line.name, places: line.points.iter().filter_map(place).collect() }
    }

    fn draw(
        &self,
        svg: &mut String,
        lines: &[Placed<'_>],
        x: (f64, f64),
        y: (f64, f64),
    ) -> Result<(), Box<dyn std::error::Error>> {
        let entries = u32::try_from(lines.len())?;
        let whole =
            SVGBackend::with_string(svg, (SIZE.0, SIZE.1 + entries * LEGEND_LINE + 8)).into_drawing_area();
        // Below the axes: wherever the lines go, the legend covers none of them.
        let (area, legend) = whole.split_vertically(SIZE.1);
        let axis = |scale: Scale, range: (f64, f64)| Ticked {
            places: (range.0..range.1).into(),
            ticks: scale.ticks(range),
        };
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(axis(self.x.scale, x), axis(self.y.scale, y))?;
        chart
            .configure_mesh()
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .axis_desc_style(("sans-serif", 15))
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|place| self.x.scale.label(*place))
            .y_label_formatter(&|place| self.y.scale.label(*place))
            .bold_line_style(COLORS[COLORS.len() - 1].mix(0.4))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (index, line) in lines.iter().enumerate() {
            let stroke = COLORS[index % COLORS.len()].stroke_width(2);
            chart.draw_series(LineSeries::new(line.places.iter().copied(), stroke).point_size(3))?;
            let (left, middle) = (LEGEND_LEFT, (index as u32 * LEGEND_LINE + LEGEND_LINE / 2).cast_signed());
            legend.draw(&PathElement::new([(left, middle), (left + 24, middle)], stroke))?;
            legend.draw(&Text::new(line.name, (left + 32, middle - 8), ("sans-serif", 15)))?;
        }
        whole.present()?;
        Ok(())
    }
}

/// A linear axis that labels the places it is given; plotters' own of that kind cannot do that for such numbers.
struct Ticked {
    places: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, pixels: (i32, i32)) -> i32 {
        self.places.map(place, pixels)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.places.range()
    }
}

/// A line with its points where they are drawn.
struct Placed<'a> {
    name: &'a str,
    places: Vec<(f64, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> Plot {
        Plot {
            name: "rate".to_owned(),
            title: "Rate".to_owned(),
            x: Axis { title: "percentile", scale: Scale::Nines },
            y: Axis { title: "ms", scale: Scale::Logarithmic },
            lines: vec![Line { name: "<ours>".to_owned(), points }],
        }
    }

    #[test]
    fn a_plot_is_svg_with_escaped_names() {
        let svg = plot(vec![(50.0, 0.1), (99.0, 1.0), (99.9, 20.0)]).svg().unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("percentile") && svg.contains("&lt;ours&gt;"), "{svg}");
    }

    #[test]
    fn a_plot_without_a_drawable_point_is_none() {
        assert!(plot(vec![(100.0, 1.0), (50.0, 0.0)]).svg().unwrap().is_none());
    }

    #[test]
    fn ticks_are_round_numbers_whatever_the_range() {
        let labels = |scale: Scale, range| -> Vec<String> {
            scale.ticks(range).into_iter().map(|tick| scale.label(tick)).collect()
        };
        assert_eq!(labels(Scale::Whole, (0.0, 2.1)), ["0", "1", "2"]);
        assert_eq!(labels(Scale::FromZero, (0.0, 2.1)), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(labels(Scale::FromZero, (0.0, 630_000.0)).last().unwrap(), "600k");
        assert_eq!(labels(Scale::Logarithmic, (0.6, 2.1)), ["5", "10", "20", "50", "100"]);
        assert_eq!(labels(Scale::Logarithmic, (3.6, 5.7)).len(), 7);
        assert_eq!(labels(Scale::Logarithmic, (0.1, 8.1)).len(), 8, "powers of ten alone");
        assert_eq!(labels(Scale::Nines, (0.0, 3.2)), ["0", "50", "90", "99", "99.9"]);
        for last in [1e-9, 0.3, 9.999, 1e12] {
            let ticks = even_ticks(last, 0.0).len();
            assert!((2..=TICKS_MAX + 1).contains(&ticks), "{ticks} ticks up to {last}");
        }
    }

    #[test]
    fn nines_are_evenly_spaced_and_labelled_as_percentiles() {
        let places: Vec<f64> = [90.0, 99.0, 99.9].iter().filter_map(|p| Scale::Nines.place(*p)).collect();
        assert!((places[1] - places[0] - 1.0).abs() < 1e-9 && (places[2] - places[1] - 1.0).abs() < 1e-9);
        assert_eq!(Scale::Nines.label(2.0), "99");
        assert_eq!(Scale::Logarithmic.label(6.0), "1M");
        assert_eq!([short(0.25), short(300.0), short(20_000.0)], ["0.25", "300", "20k"]);
    }
}
