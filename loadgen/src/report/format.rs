//! How single values look in a table: like those in the published tables.

/// What a cell shows when there is nothing to show.
pub(crate) const NOTHING: &str = "-";

/// `1_000_000`, as the published tables write numbers.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// `1 core`, `2 cores`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// [`grouped`], for a measured value.
pub(crate) fn rounded(number: f64) -> String {
    // Saturates; there are no negative rates.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are far below 2^53 and positive"
    )]
    grouped(number.round() as u64)
}

/// `82_020 kb`, as the published tables write memory.
pub(crate) fn kilobytes(number: u64) -> String {
    format!("{} kb", grouped(number))
}

/// `14.53 sec`; one more digit below a second, where two would hide differences.
pub(crate) fn seconds(number: f64) -> String {
    if number < 1.0 { format!("{number:.3} sec") } else { format!("{number:.2} sec") }
}

/// `0.142 ms`.
pub(crate) fn milliseconds(number: f64) -> String {
    format!("{number:.3} ms")
}

/// A value in its own format, or [`NOTHING`].
pub(crate) fn or_nothing<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_the_published_tables() {
        let numbers = [0, 7, 999, 1_000, 82_020, 100_000, 1_000_000].map(grouped);
        assert_eq!(numbers, ["0", "7", "999", "1_000", "82_020", "100_000", "1_000_000"]);
        assert_eq!(kilobytes(82_020), "82_020 kb");
        assert_eq!(seconds(14.532), "14.53 sec");
        assert_eq!(seconds(0.2514), "0.251 sec");
        assert_eq!(rounded(412_345.6), "412_346");
        assert_eq!([counted(1, "core"), counted(2, "core")], ["1 core", "2 cores"]);
    }
}
