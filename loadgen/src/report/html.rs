//! The report as one HTML page: tables, plots and notes of every outcome, nothing loaded from elsewhere.

use super::{Outcome, Table};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222}\
     table{border-collapse:collapse;font-size:13px;margin:1em 0}\
     th,td{border:1px solid #ccc;padding:3px 8px;text-align:right;white-space:nowrap}\
     th:first-child,td:first-child{text-align:left}th{background:#f3f3f3}\
     tr.published td{color:#777}ul{color:#555;font-size:13px}svg{max-width:100%;height:auto}\
     .wide{overflow-x:auto}";

/// The whole page; `plots` are the pictures of each outcome, in its order.
pub(super) fn page(outcomes: &[Outcome], plots: &[Vec<String>], comparison: Option<&str>) -> String {
    let mut body = String::new();
    for outcome in outcomes {
        body.push_str(&format!("<a href=\"#{0}\">{0}</a> ", outcome.scenario));
    }
    for (outcome, plots) in outcomes.iter().zip(plots) {
        body.push_str(&section(outcome, plots));
    }
    if let Some(comparison) = comparison {
        body.push_str(&format!(
            "<h2>Compared with earlier results</h2>\n<pre>{}</pre>\n",
            escape(comparison)
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>jiggler-uring: measurements</title>\
         <style>{STYLE}</style></head>\n<body><h1>jiggler-uring: measurements</h1>\n{body}</body></html>\n"
    )
}

fn section(outcome: &Outcome, plots: &[String]) -> String {
    let tables: String = outcome.tables.iter().map(table).collect();
    let notes: String = outcome.notes().iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
    format!(
        "<h2 id=\"{}\">{}</h2>\n{tables}<p>{}</p>\n{}\n<ul>\n{notes}</ul>\n",
        outcome.scenario,
        escape(outcome.title),
        escape(&outcome.remark),
        plots.join("\n")
    )
}

fn table(table: &Table) -> String {
    let header: String = table.header.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
    let rows: String = table.rows.iter().map(|cells| row(cells)).collect();
    format!("<div class=\"wide\"><table>\n<tr>{header}</tr>\n{rows}</table></div>\n")
}

fn row(cells: &[String]) -> String {
    let published = cells.first().is_some_and(|cell| cell.ends_with("(published)"));
    let class = if published { " class=\"published\"" } else { "" };
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    format!("<tr{class}>{cells}</tr>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_tables_plots_and_notes_and_escapes_what_came_from_outside() {
        let mut outcome = Outcome::of_figures("noop", Vec::new());
        outcome.tables.push(Table::new(&["Who"], vec![vec!["<b> (published)".to_owned()]]));
        outcome.definitions.push("a < b".to_owned());
        let page = page(&[outcome], &[vec!["<svg></svg>".to_owned()]], Some("1 & 2"));
        let expected = [
            "<tr class=\"published\"><td>&lt;b&gt; (published)</td></tr>",
            "<svg></svg>",
            "<li>a &lt; b</li>",
            "<pre>1 &amp; 2</pre>",
        ];
        for part in expected {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
