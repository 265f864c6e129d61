//! Dates and times of day from seconds since 1970, in UTC. Pure.

/// A moment in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// Days since Sunday.
    pub weekday: u32,
    /// 1 to 366.
    pub year_day: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const SECONDS_A_DAY: i64 = 86400;

impl Civil {
    /// The date and time at `seconds` since 1970.
    pub fn at(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_A_DAY);
        let time = seconds.rem_euclid(SECONDS_A_DAY) as u32;
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            weekday: (days + 4).rem_euclid(7) as u32,
            year_day: (days - days_to(year, 1, 1)) as u32 + 1,
        }
    }

    /// Text by a format of strftime(3).
    pub fn format(&self, format: &str, seconds: i64, nanoseconds: u32) -> String {
        let mut text = String::new();
        let mut rest = format.chars();
        while let Some(sign) = rest.next() {
            match (sign, rest.clone().next()) {
                ('%', Some(letter)) => {
                    rest.next();
                    match letter {
                        's' => text.push_str(&seconds.to_string()),
                        'N' => text.push_str(&format!("{nanoseconds:09}")),
                        _ => self.field(letter, &mut text),
                    }
                }
                _ => text.push(sign),
            }
        }
        text
    }

    fn field(&self, letter: char, text: &mut String) {
        let nested = |format: &str| self.format(format, 0, 0);
        let month = MONTHS[self.month as usize - 1];
        let day = DAYS[self.weekday as usize];
        let twelve = (self.hour + 11) % 12 + 1;
        text.push_str(&match letter {
            'Y' => self.year.to_string(),
            'y' => format!("{:02}", self.year.rem_euclid(100)),
            'C' => format!("{:02}", self.year.div_euclid(100)),
            'm' => format!("{:02}", self.month),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{twelve:02}"),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'j' => format!("{:03}", self.year_day),
            'u' => ((self.weekday + 6) % 7 + 1).to_string(),
            'w' => self.weekday.to_string(),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_string(),
            'a' => day[..3].to_string(),
            'A' => day.to_string(),
            'b' | 'h' => month[..3].to_string(),
            'B' => month.to_string(),
            'F' => nested("%Y-%m-%d"),
            'T' => nested("%H:%M:%S"),
            'R' => nested("%H:%M"),
            'D' => nested("%m/%d/%y"),
            'c' => nested("%a %b %e %H:%M:%S %Y"),
            'x' => nested("%m/%d/%y"),
            'X' => nested("%H:%M:%S"),
            'Z' => "UTC".to_string(),
            'z' => "+0000".to_string(),
            'n' => "\n".to_string(),
            't' => "\t".to_string(),
            '%' => "%".to_string(),
            other => format!("%{other}"),
        });
    }
}

/// Year, month and day of a day since 1970. Counts years from March, so that the leap day is
/// the last of its year.
fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u32;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970 to a date.
fn days_to(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iso(seconds: i64) -> String {
        Civil::at(seconds).format("%F %T %a %j", seconds, 0)
    }

    #[test]
    fn known_moments() {
        assert_eq!(iso(0), "1970-01-01 00:00:00 Thu 001");
        assert_eq!(iso(951_782_400), "2000-02-29 00:00:00 Tue 060");
        assert_eq!(iso(1_735_689_599), "2024-12-31 23:59:59 Tue 366");
        assert_eq!(iso(-1), "1969-12-31 23:59:59 Wed 365");
    }

    proptest! {
        #[test]
        fn dates_count_back_to_their_days(days in -1_000_000i64..1_000_000) {
            let (year, month, day) = date(days);
            prop_assert_eq!(days_to(year, month, day), days);
        }
    }
}
