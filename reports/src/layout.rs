//! Plain text in columns: aligned tables, and lines that are wrapped.

/// The rows with their cells under each other, two spaces apart; `right` says which columns are of numbers.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], right: [bool; N]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = columns(cell).max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).zip(right).map(|((cell, width), right)| {
            let pad = " ".repeat(width - columns(cell));
            if right { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Appends `text` in lines of at most `width` columns; the lines after the first are indented under it.
pub(crate) fn wrap(lines: &mut Vec<String>, prefix: &str, text: &str, width: usize) {
    let indent = " ".repeat(columns(prefix));
    let mut line = prefix.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
}

/// Columns on a terminal. Names are ASCII and numbers hold at most a dash beyond it, so a character is a
/// column; a wide character in a foreign text costs alignment, nothing else.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().count()
}
