//! A table of plain text: columns that are as wide as they have to be, and no borders.

/// A table. What is empty is shown as `-`, so that every line has as many words as the first one.
pub struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Columns<N> {
    /// A table with these names of columns.
    pub fn new(names: [&str; N]) -> Self {
        Self {
            rows: vec![names.map(str::to_owned)],
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        }));
    }

    /// The table.
    pub fn text(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let start = text.len();
            for (width, cell) in widths.iter().zip(row) {
                text.push_str(cell);
                let gap = width + 2 - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', gap));
            }
            text.truncate(start + text.get(start..).unwrap_or_default().trim_end().len());
            text.push('\n');
        }
        text
    }
}
