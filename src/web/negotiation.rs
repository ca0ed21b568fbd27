//! In which format metrics are written, by the `Accept` field of the request.

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' text format: what everything reads.
    Prometheus,
    /// OpenMetrics, if the client prefers it.
    OpenMetrics,
}

impl Format {
    /// Both.
    #[cfg(test)]
    pub(super) const ALL: [Self; 2] = [Self::Prometheus, Self::OpenMetrics];

    /// The type of its content.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The one that is wanted most.
    pub(super) fn wanted(accept: Option<&[u8]>) -> Self {
        let accept = accept.and_then(|field| std::str::from_utf8(field).ok()).unwrap_or_default();
        let weight = |kind: &str| {
            let weights = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                parts.next().filter(|name| name.eq_ignore_ascii_case(kind))?;
                let named = parts.find_map(|part| part.strip_prefix("q="));
                Some(named.map_or(1.0, |text| text.parse().unwrap_or(0.0)))
            });
            weights.fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_written_to_those_that_prefer_it() {
        let check = |accept: &str, expected| {
            assert_eq!(Format::wanted(Some(accept.as_bytes())), expected, "{accept}");
        };
        // Of Prometheus 2.42.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(prometheus, Format::OpenMetrics);
        check("text/plain;version=0.0.4", Format::Prometheus);
        check("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus);
        check("application/openmetrics-text;q=0.2, text/plain; q=0.9", Format::Prometheus);
        check("application/openmetrics-text;q=0", Format::Prometheus);
        check("", Format::Prometheus);
        assert_eq!(Format::wanted(None), Format::Prometheus);
        assert_eq!(Format::wanted(Some(&[0xff])), Format::Prometheus);
    }
}
