//! A page as a browser reads it, by the rules of the HTML standard: its elements, its text, the rows of its tables.

use std::collections::BTreeMap;

use html5gum::{HtmlString, StartTag, Token, Tokenizer};

/// A page that was read. It is well formed, every element is one that our templates have, and nothing in it would run.
#[derive(Debug, Default)]
pub(crate) struct Html {
    /// Elements with their attributes, in their order.
    pub(crate) elements: Vec<(String, BTreeMap<String, String>)>,
    /// All of its text, with blanks as they are.
    pub(crate) text: String,
    /// The rows of all tables, heads included: the texts of their cells.
    pub(crate) rows: Vec<Vec<String>>,
    /// The text of each element that has an id.
    by_id: BTreeMap<String, String>,
}

const VOID: [&str; 3] = ["meta", "link", "input"];

/// What our templates are made of.
const KNOWN: &str = "a body button code dd details div dl dt figcaption figure form h1 h2 head header html input textarea label li \
                     link main meta nav option p path pre script select span strong summary svg table tbody td text th \
                     thead time title tr ul";

impl Html {
    /// Reads a page, and checks what the type promises.
    #[track_caller]
    pub(crate) fn read(body: &str) -> Self {
        let mut html = Self::default();
        let mut open: Vec<(String, Option<String>)> = Vec::new();
        for token in Tokenizer::new(body) {
            match token.unwrap() {
                Token::StartTag(tag) => html.open(&tag, &mut open),
                Token::EndTag(tag) => {
                    let name = text(&tag.name);
                    let (opened, _) = open.pop().unwrap_or_default();
                    assert_eq!(opened, name, "an element is closed that is not open: {body}");
                }
                Token::String(found) => html.add(&text(&found.value), &open),
                Token::Doctype(doctype) => assert_eq!(text(&doctype.name), "html"),
                Token::Comment(comment) => panic!("a comment: {comment:?}"),
                Token::Error(error) => panic!("{error:?}: {body}"),
            }
        }
        assert!(open.is_empty(), "left open: {open:?}: {body}");
        html
    }

    #[track_caller]
    fn open(&mut self, tag: &StartTag<()>, open: &mut Vec<(String, Option<String>)>) {
        let name = text(&tag.name);
        assert!(KNOWN.split_whitespace().any(|known| known == name), "a foreign element: {name}");
        let attributes: BTreeMap<String, String> =
            tag.attributes.iter().map(|(name, value)| (text(name), text(&value.value))).collect();
        if name == "script" {
            assert!(
                attributes.get("src").is_some_and(|src| src == "live.js"),
                "a foreign script: {attributes:?}"
            );
        }
        for (attribute, value) in &attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "{name} {attribute}={value}");
            if ["href", "src", "action"].contains(&attribute.as_str()) {
                let is_relative = !value.starts_with('/') && !value.contains(':') && !value.contains("..");
                assert!(is_relative, "{name} {attribute}={value}");
            }
        }
        match name.as_str() {
            "tr" => self.rows.push(Vec::new()),
            "td" | "th" => self.rows.last_mut().unwrap().push(String::new()),
            _ => {}
        }
        let id = attributes.get("id").cloned();
        if !VOID.contains(&name.as_str()) {
            open.push((name.clone(), id));
        }
        self.elements.push((name, attributes));
    }

    fn add(&mut self, found: &str, open: &[(String, Option<String>)]) {
        self.text.push_str(found);
        if open.iter().any(|(name, _)| name == "td" || name == "th") {
            self.rows.last_mut().unwrap().last_mut().unwrap().push_str(found);
        }
        for id in open.iter().filter_map(|(_, id)| id.as_ref()) {
            self.by_id.entry(id.clone()).or_default().push_str(found);
        }
    }

    /// The text of the element with this id.
    #[track_caller]
    pub(crate) fn id(&self, id: &str) -> &str {
        self.by_id.get(id).unwrap_or_else(|| panic!("no element {id} in: {}", self.text))
    }

    /// Where the links lead whose address has this part.
    pub(crate) fn links(&self, part: &str) -> Vec<String> {
        let links =
            self.elements.iter().filter(|(name, _)| name == "a").filter_map(|(_, all)| all.get("href"));
        links.filter(|href| href.contains(part)).cloned().collect()
    }

    /// The one link to what follows, if there is one.
    pub(crate) fn next(&self) -> Option<String> {
        let mut all = self.elements.iter().filter(|(_, all)| all.get("rel").is_some_and(|rel| rel == "next"));
        all.next().map(|(_, all)| all["href"].clone())
    }

    /// The row whose first cell is this.
    #[track_caller]
    pub(crate) fn row(&self, first: &str) -> &[String] {
        let found = self.rows.iter().find(|row| row.first().is_some_and(|cell| cell == first));
        found.unwrap_or_else(|| panic!("no row {first} in {:?}", self.rows))
    }
}

fn text(text: &HtmlString) -> String {
    String::from_utf8(text.to_vec()).unwrap()
}
