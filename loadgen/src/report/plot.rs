//! Plots as SVG: lines of points over two axes, each plain or logarithmic.
//!
//! A logarithmic axis is drawn as a plain one of the logarithms, with labels of the numbers themselves.

use plotters::prelude::*;

use crate::error::Error;

/// Size in pixels; an SVG scales.
const SIZE: (u32, u32) = (900, 480);

/// Room of an axis beyond its first and last point, as a part of its length.
const MARGIN: f64 = 0.05;

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
    /// Title with unit.
    pub(crate) title: &'static str,
    /// How numbers lie on it.
    pub(crate) scale: Scale,
}

/// How numbers lie on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly, from zero.
    FromZero,
    /// By their logarithms; only numbers above zero are drawn.
    Logarithmic,
    /// Percentiles by their nines: 90, 99 and 99.9 evenly spaced; 100 is not drawn.
    Nines,
}

/// Points in drawing order.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What the legend says.
    pub(crate) name: String,
    /// Numbers on both axes.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Scale {
    /// Where a number lies; `None` when it has no place.
    fn place(self, number: f64) -> Option<f64> {
        let place = match self {
            Self::FromZero => number,
            Self::Logarithmic => number.log10(),
            Self::Nines => -(1.0 - number / 100.0).log10(),
        };
        place.is_finite().then_some(place)
    }

    /// What lies there.
    fn label(self, place: f64) -> String {
        let number = match self {
            Self::FromZero => place,
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
        if self == Self::FromZero || self == Self::Nines {
            first = first.min(0.0);
        }
        let room = ((last - first) * MARGIN).max(0.01);
        let first = if self == Self::Logarithmic { first - room } else { first };
        (first, last + room)
    }
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
    /// The picture; `None` when no point has a place on both axes.
    ///
    /// # Errors
    /// The drawing library refuses.
    pub(super) fn svg(&self) -> Result<Option<String>, Error> {
        let lines: Vec<(&str, Vec<(f64, f64)>)> =
            self.lines.iter().map(|line| (line.name.as_str(), self.places(line))).collect();
        let places = || lines.iter().flat_map(|(_, places)| places.iter());
        if places().next().is_none() {
            return Ok(None);
        }
        let x = self.x.scale.range(places().map(|place| place.0));
        let y = self.y.scale.range(places().map(|place| place.1));
        let mut svg = String::new();
        self.draw(&mut svg, &lines, x, y).map_err(|error| Error::Plot(error.to_string()))?;
        Ok(Some(svg))
    }

    fn places(&self, line: &Line) -> Vec<(f64, f64)> {
        let place = |(x, y): &(f64, f64)| Some((self.x.scale.place(*x)?, self.y.scale.place(*y)?));
        line.points.iter().filter_map(place).collect()
    }

    fn draw(
        &self,
        svg: &mut String,
        lines: &[(&str, Vec<(f64, f64)>)],
        x: (f64, f64),
        y: (f64, f64),
    ) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .x_desc(self.x.title)
            .y_desc(self.y.title)
            .x_label_formatter(&|place| self.x.scale.label(*place))
            .y_label_formatter(&|place| self.y.scale.label(*place))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (index, (name, places)) in lines.iter().enumerate() {
            let color = Palette99::pick(index).to_rgba();
            chart
                .draw_series(LineSeries::new(places.iter().copied(), color.stroke_width(2)).point_size(3))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        area.present()?;
        Ok(())
    }
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
    fn nines_are_evenly_spaced_and_labelled_as_percentiles() {
        let places: Vec<f64> = [90.0, 99.0, 99.9].iter().filter_map(|p| Scale::Nines.place(*p)).collect();
        assert!((places[1] - places[0] - 1.0).abs() < 1e-9 && (places[2] - places[1] - 1.0).abs() < 1e-9);
        assert_eq!(Scale::Nines.label(2.0), "99");
        assert_eq!(Scale::Logarithmic.label(6.0), "1M");
        assert_eq!([short(0.25), short(300.0), short(20_000.0)], ["0.25", "300", "20k"]);
    }
}
