//! Columns for a terminal, as kubectl prints them.

use jiff::Timestamp;

/// Rows under headings, each column as wide as its widest cell.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    std::iter::once(&headings).chain(rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
}

/// A time span as kubectl prints it: `45s`, `12m`, `5h`, `3d`.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `-` for nothing.
pub(super) fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["aws".into(), "Ready".into()], vec!["long-name".into(), "-".into()]];
        assert_eq!(
            table(&["NAME", "STATUS"], &rows),
            "NAME        STATUS\naws         Ready\nlong-name   -\n"
        );
    }

    #[test]
    fn ages_are_short() {
        let then = Timestamp::UNIX_EPOCH;
        let after = |seconds| age(then, Timestamp::from_second(seconds).unwrap());
        assert_eq!(
            [after(5), after(300), after(10_000), after(1_000_000)],
            ["5s", "5m", "2h", "11d"]
        );
    }
}
