//! The times of one system.

/// What the runs of a system gave.
#[derive(Default)]
pub struct Times {
    pub seconds: Vec<f64>,
    /// Why there are no more.
    pub failure: Option<String>,
}

impl Times {
    /// The middle run, or the mean of the two middle ones.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            length if length % 2 == 1 => Some(sorted[middle]),
            _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        }
    }

    /// The last three cells of a row; `unit` is the median to divide by.
    pub fn cells(&self, unit: Option<f64>) -> String {
        let (Some(median), None) = (self.median(), &self.failure) else {
            let reason = self.failure.as_deref().unwrap_or("no run");
            return format!("does not get there: {reason} | | ");
        };
        let least = self.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.seconds.iter().copied().fold(0.0, f64::max);
        let times = unit.map_or(String::new(), |unit| format!("{:.1}", median / unit));
        format!("{median:.3} | {least:.3} to {most:.3} | {times}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let of = |seconds: &[f64]| {
            Times {
                seconds: seconds.to_vec(),
                failure: None,
            }
            .median()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_row_says_why_it_is_empty() {
        let mut times = Times {
            seconds: vec![2.0, 1.0, 4.0],
            failure: None,
        };
        assert_eq!(times.cells(Some(0.5)), "2.000 | 1.000 to 4.000 | 4.0");
        times.failure = Some("no prompt".into());
        assert!(times.cells(None).contains("no prompt"));
    }
}
