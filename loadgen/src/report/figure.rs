//! Single measured quantities with a name, by which two runs of loadgen are compared.

use serde::{Deserialize, Serialize};

use crate::spread::Spread;

/// Which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Better {
    /// Such as jobs per second.
    Higher,
    /// Such as microseconds per job.
    Lower,
}

impl Better {
    /// The spelling in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        }
    }
}

/// One quantity of one row, with the value of each run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was measured: processor and parameters. Together with `quantity` it is the name, the same from run to run.
    pub(crate) row: String,
    /// The column and its unit, for example `jobs/s`.
    pub(crate) quantity: String,
    /// Which direction is better.
    pub(crate) better: Better,
    /// One value per run; not empty.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    /// `None` without a value.
    pub(crate) fn new(
        row: &str,
        quantity: &str,
        better: Better,
        values: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let (row, quantity) = (row.to_owned(), quantity.to_owned());
        (!values.is_empty()).then_some(Self { row, quantity, better, values })
    }

    /// The middle value; `None` if the file that was read holds none.
    pub(crate) fn median(&self) -> Option<f64> {
        Spread::of(self.values.iter().copied()).map(|spread| spread.median)
    }
}
