//! The report as one HTML page: tables, plots and notes of every outcome, with nothing loaded from elsewhere.

use super::compare::Comparison;
use super::{Names, Outcome, Table};

/// Light or dark, as the reader's system is set; the plots' black becomes the text's colour.
const STYLE: &str = "\
     :root{color-scheme:light dark;--text:#222;--faint:#666;--line:#ccc;--head:#f3f3f3;--good:#00704a;--bad:#b23c00}\
     @media(prefers-color-scheme:dark){\
     :root{--text:#ddd;--faint:#999;--line:#444;--head:#2a2a2a;--good:#4cc79a;--bad:#ff8d57}\
     body{background:#181818}}\
     body{font:15px/1.45 system-ui,sans-serif;max-width:1240px;margin:2em auto;padding:0 1em;color:var(--text)}\
     nav a{margin-right:1em}table{border-collapse:collapse;font-size:13px;margin:1em 0}\
     th,td{border:1px solid var(--line);padding:3px 8px;text-align:right}td{white-space:nowrap}\
     th:first-child,td:first-child,.words td,.words th{text-align:left}th{background:var(--head);vertical-align:bottom}\
     tr.published td,ul{color:var(--faint)}ul{font-size:13px}svg{max-width:100%;height:auto;display:block;margin:1em 0}\
     .wide{overflow-x:auto}td.better{color:var(--good)}td.worse{color:var(--bad)}";

/// The whole page; `plots` are the pictures of each outcome, in the same order.
pub(super) fn page(outcomes: &[Outcome], plots: &[Vec<String>], comparison: Option<&Comparison>) -> String {
    let mut body = String::new();
    let mut names = Names::default();
    let ids: Vec<String> = outcomes.iter().map(|outcome| names.distinct(outcome.scenario)).collect();
    if outcomes.len() > 1 {
        let link = |id: &String| format!("<a href=\"#{id}\">{id}</a>");
        body.push_str(&format!("<nav>{}</nav>\n", ids.iter().map(link).collect::<String>()));
    }
    for ((outcome, plots), id) in outcomes.iter().zip(plots).zip(&ids) {
        body.push_str(&section(outcome, plots, id));
    }
    if let Some(Comparison { table: compared, note }) = comparison {
        let compared = compared.as_ref().map(|compared| table(compared, "words")).unwrap_or_default();
        body.push_str(&format!(
            "<h2>Compared with earlier results</h2>\n{compared}<p>{}</p>\n",
            escape(note)
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>jiggler-uring: measurements</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n\
         <body><h1>jiggler-uring: measurements</h1>\n{body}</body></html>\n"
    )
}

fn section(outcome: &Outcome, plots: &[String], id: &str) -> String {
    let tables: String = outcome.tables.iter().map(|shown| table(shown, "numbers")).collect();
    let notes: String =
        outcome.notes().iter().map(|note| format!("<li>{}</li>\n", code(&escape(note)))).collect();
    let plots: String = plots.iter().map(|svg| svg.replace("#000000", "currentColor")).collect();
    format!(
        "<h2 id=\"{id}\">{}</h2>\n{tables}<p>{}</p>\n{}\n<ul>\n{notes}</ul>\n",
        escape(outcome.title),
        escape(&outcome.remark),
        plots
    )
}

fn table(table: &Table, class: &str) -> String {
    let header: String = table.header.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
    let rows: String = table.rows.iter().map(|cells| row(cells)).collect();
    format!("<div class=\"wide\"><table class=\"{class}\">\n<tr>{header}</tr>\n{rows}</table></div>\n")
}

fn row(cells: &[String]) -> String {
    let published = cells.first().is_some_and(|cell| cell.ends_with("(published)"));
    let class = if published { " class=\"published\"" } else { "" };
    let cell = |cell: &String| match cell.as_str() {
        verdict @ ("better" | "worse") => format!("<td class=\"{verdict}\">{verdict}</td>"),
        other => format!("<td>{}</td>", escape(other)),
    };
    let cells: String = cells.iter().map(cell).collect();
    format!("<tr{class}>{cells}</tr>\n")
}

/// Marks text between backticks as code.
fn code(text: &str) -> String {
    let mut parts = text.split('`');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.enumerate().fold(first, |text, (index, part)| {
        let tag = if index % 2 == 0 { "<code>" } else { "</code>" };
        text + tag + part
    })
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
        outcome.definitions.push("a < `b`".to_owned());
        let row = ["noop", "worse"].map(ToOwned::to_owned).to_vec();
        let compared = Table::new(&["Scenario", "Verdict"], vec![row]);
        let comparison = Comparison { table: Some(compared), note: "1 & 2".to_owned() };
        let page = page(&[outcome], &[vec!["<svg stroke=\"#000000\"/>".to_owned()]], Some(&comparison));
        let expected = [
            "<tr class=\"published\"><td>&lt;b&gt; (published)</td></tr>",
            "<svg stroke=\"currentColor\"/>",
            "<li>a &lt; <code>b</code></li>",
            "<td class=\"worse\">worse</td>",
            "<p>1 &amp; 2</p>",
        ];
        for part in expected {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
