//! A form, and what a browser sends when a person fills it in.

use url::form_urlencoded::Serializer;

/// A form of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// Where it goes, as it is written; none is the page itself.
    pub action: Option<String>,
    /// Whether it is posted.
    pub is_post: bool,
    /// Whether it is sent in parts (`multipart/form-data`), as forms with files are.
    pub is_multipart: bool,
    /// Its fields, in the order of the page.
    pub fields: Vec<Field>,
    /// The buttons that submit it and can be pressed, in the order of the page.
    pub buttons: Vec<Button>,
}

/// A field of a form. Of radio buttons and checkboxes, and of the options of a list that takes several,
/// each is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, which is not empty.
    pub name: String,
    /// What it has.
    pub value: String,
    /// Whether it goes with the form if nobody touches it. A box that is not ticked does not.
    pub is_sent: bool,
    /// Whether it takes a file. Nobody chooses one.
    pub is_file: bool,
}

/// A button that submits a form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Button {
    /// Its name; empty where it has none, and then nothing is sent of it.
    pub name: String,
    /// What is sent under its name if it is pressed.
    pub value: String,
    /// Where the form goes by it, if not where the form says.
    pub action: Option<String>,
    /// How many fields of the form are before it.
    pub fields_before: usize,
}

impl Button {
    /// Whether it is the one that a journey means by `NAME` or `NAME=VALUE`; `*` in them stands for anything.
    fn is_meant(&self, wanted: &str) -> bool {
        let (name, value) = wanted.split_once('=').unwrap_or((wanted, "*"));
        !self.name.is_empty() && matches(name, &self.name) && matches(value, &self.value)
    }

    fn pair(&self) -> Pair {
        Pair::text(&self.name, &self.value)
    }
}

/// A name and a value that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    name: String,
    value: String,
    is_file: bool,
}

impl Pair {
    /// A text.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), is_file: false }
    }
}

impl Form {
    /// The button that is pressed: the one that is wanted, or else the first; see [`Pressed`].
    pub fn pressed(&self, wanted: Option<&str>) -> Pressed<'_> {
        let found = match wanted {
            Some(wanted) => self.buttons.iter().find(|button| button.is_meant(wanted)),
            None => self.buttons.first(),
        };
        match (found, wanted) {
            (Some(button), _) => Pressed::Button(button),
            (None, None) => Pressed::Enter,
            (None, Some(_)) => Pressed::Missing,
        }
    }

    /// Names and values as they are sent, after `fill` was filled in (pairs of a field's name and its value) and
    /// the form was submitted by this button.
    ///
    /// `*` in a name stands for anything. A field that the form does not have is sent all the same if its
    /// name has no `*`, as a script of the page would do.
    pub fn filled(&self, fill: &[(String, String)], button: Option<&Button>) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Vec::with_capacity(self.fields.len() + 2);
        let mut touched: Vec<&str> = Vec::new();
        let named = button.filter(|button| !button.name.is_empty());
        for (index, field) in self.fields.iter().enumerate() {
            pairs.extend(named.filter(|button| button.fields_before == index).map(Button::pair));
            match wanted(fill, &field.name) {
                Some(value) if !touched.contains(&field.name.as_str()) => {
                    touched.push(&field.name);
                    pairs.push(Pair::text(&field.name, value));
                }
                Some(_) => {}
                None if field.is_sent => {
                    let is_file = field.is_file;
                    pairs.push(Pair { is_file, ..Pair::text(&field.name, &field.value) });
                }
                None => {}
            }
        }
        pairs.extend(named.filter(|button| button.fields_before >= self.fields.len()).map(Button::pair));
        let missing = fill.iter().filter(|(name, _)| !name.contains('*') && !touched.contains(&name.as_str()));
        pairs.extend(missing.map(|(name, value)| Pair::text(name, value)));
        pairs
    }
}

/// By what a form is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed<'a> {
    /// This button.
    Button(&'a Button),
    /// No button: it has none, and the key Enter or a script submits it.
    Enter,
    /// The button that is wanted is not there, so that it cannot be submitted by it.
    Missing,
}

/// What a field is to have, if anything. Its own name counts more than a pattern.
fn wanted<'a>(fill: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let own = fill.iter().find(|(pattern, _)| pattern == name);
    let found = own.or_else(|| fill.iter().find(|(pattern, _)| matches(pattern, name)));
    found.map(|(_, value)| value.as_str())
}

/// Whether a name fits a pattern, in which `*` stands for anything.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(between) = last.replace(part) {
            let Some(at) = rest.find(between) else { return false };
            rest = &rest[at + between.len()..];
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}

/// The body of a posted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// How it is written: the header `Content-Type`.
    pub content_type: String,
    /// What is sent.
    pub text: String,
}

impl Body {
    /// One line of names and values, as most forms are sent. Of a file nobody chose, its name is sent: none.
    pub fn urlencoded(pairs: &[Pair]) -> Self {
        let mut text = Serializer::new(String::new());
        for pair in pairs {
            text.append_pair(&pair.name, &with_crlf(&pair.value));
        }
        Self { content_type: "application/x-www-form-urlencoded".to_owned(), text: text.finish() }
    }

    /// A part for each name, as forms with files are sent. A file that nobody chose is an empty part.
    pub fn multipart(pairs: &[Pair]) -> Self {
        let boundary = boundary(pairs);
        let mut text = String::new();
        for Pair { name, value, is_file } in pairs {
            let name = with_crlf(name).replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
            let head = match is_file {
                true => "; filename=\"\"\r\nContent-Type: application/octet-stream",
                false => "",
            };
            let value = with_crlf(value);
            text +=
                &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n{value}\r\n");
        }
        text += &format!("--{boundary}--\r\n");
        Self { content_type: format!("multipart/form-data; boundary={boundary}"), text }
    }
}

/// A line that is nowhere in what is sent.
fn boundary(pairs: &[Pair]) -> String {
    let has = |pair: &Pair, line: &str| pair.name.contains(line) || pair.value.contains(line);
    let is_free = |line: &String| !pairs.iter().any(|pair| has(pair, line));
    // Of so many, one is free: each that is not takes a piece of a value that is finite.
    (0u64..).map(|n| format!("----firedrill{n:016}")).find(is_free).unwrap_or_default()
}

/// Line breaks as forms are sent with: CR LF, whatever the page had.
fn with_crlf(text: &str) -> String {
    match text.contains(['\r', '\n']) {
        true => text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn form(fields: &[(&str, &str, bool)]) -> Form {
        let field = |(name, value, is_sent): &(&str, &str, bool)| Field {
            name: (*name).into(),
            value: (*value).into(),
            is_sent: *is_sent,
            is_file: false,
        };
        Form { is_post: true, fields: fields.iter().map(field).collect(), ..Form::default() }
    }

    #[rstest]
    #[case::untouched(&[("token", "t", true), ("news", "on", false)], &[], "token=t")]
    #[case::text(&[("email", "", true)], &[("email", "a@b.c")], "email=a%40b.c")]
    #[case::ticked(&[("news", "on", false)], &[("news", "yes")], "news=yes")]
    #[case::chosen(&[("pay", "bank", true), ("pay", "manual", false)], &[("pay", "manual")], "pay=manual")]
    #[case::pattern(&[("7-question_3", "", true)], &[("*question_*", "5")], "7-question_3=5")]
    #[case::pattern_without_a_field(&[("a", "", true)], &[("*question_*", "5")], "a=")]
    #[case::own_name_counts_more(&[("ab", "", true)], &[("*", "1"), ("ab", "2")], "ab=2")]
    #[case::not_on_the_page(&[("a", "1", true)], &[("item_5", "1")], "a=1&item_5=1")]
    fn a_form_is_sent_as_a_browser_does(
        #[case] fields: &[(&str, &str, bool)],
        #[case] fill: &[(&str, &str)],
        #[case] body: &str,
    ) {
        let fill: Vec<(String, String)> = fill.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(Body::urlencoded(&form(fields).filled(&fill, None)).text, body);
    }

    fn button(name: &str, value: &str, fields_before: usize) -> Button {
        Button { name: name.into(), value: value.into(), action: None, fields_before }
    }

    #[rstest]
    #[case::the_first(&[("go", "1", 1), ("save", "2", 2)], None, "a=1&go=1&b=2")]
    #[case::the_first_without_a_name(&[("", "", 0), ("save", "2", 0)], None, "a=1&b=2")]
    #[case::by_name(&[("go", "1", 0), ("save", "2", 2)], Some("save"), "a=1&b=2&save=2")]
    #[case::by_value(&[("go", "1", 0), ("go", "2", 0)], Some("go=2"), "go=2&a=1&b=2")]
    #[case::by_pattern(&[("remove_7", "x", 2)], Some("remove_*"), "a=1&b=2&remove_7=x")]
    #[case::none_there(&[], None, "a=1&b=2")]
    fn the_button_that_is_pressed_is_sent(
        #[case] buttons: &[(&str, &str, usize)],
        #[case] wanted: Option<&str>,
        #[case] body: &str,
    ) {
        let buttons = buttons.iter().map(|(name, value, before)| button(name, value, *before)).collect();
        let form = Form { buttons, ..form(&[("a", "1", true), ("b", "2", true)]) };
        let pressed = match form.pressed(wanted) {
            Pressed::Button(button) => Some(button),
            Pressed::Enter => None,
            Pressed::Missing => panic!("{wanted:?} is there"),
        };
        assert_eq!(Body::urlencoded(&form.filled(&[], pressed)).text, body);
    }

    #[rstest]
    #[case("go")]
    #[case("save=3")]
    #[case("")]
    fn a_button_that_is_not_there_cannot_be_pressed(#[case] wanted: &str) {
        let form = Form { buttons: vec![button("", "", 0), button("save", "2", 0)], ..Form::default() };
        assert_eq!(form.pressed(Some(wanted)), Pressed::Missing);
    }

    #[test]
    fn a_form_with_files_is_sent_in_parts() {
        let pairs = [
            Pair::text("te\"xt", "one\ntwo\r\n"),
            Pair { is_file: true, ..Pair::text("photo", "") },
            Pair::text("has", "----firedrill0000000000000000"),
        ];
        let body = Body::multipart(&pairs);
        assert_eq!(body.content_type, "multipart/form-data; boundary=----firedrill0000000000000001");
        let line = "------firedrill0000000000000001";
        let text = format!(
            "{line}\r\nContent-Disposition: form-data; name=\"te%22xt\"\r\n\r\none\r\ntwo\r\n\r\n\
             {line}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n\r\n\
             {line}\r\nContent-Disposition: form-data; name=\"has\"\r\n\r\n----firedrill0000000000000000\r\n{line}--\r\n"
        );
        assert_eq!(body.text, text);
    }

    #[rstest]
    #[case("a", "a", true)]
    #[case("a", "ab", false)]
    #[case("*", "", true)]
    #[case("a*", "ab", true)]
    #[case("*b", "ab", true)]
    #[case("*b", "ba", false)]
    #[case("a*b*c", "aXbYc", true)]
    #[case("a*b*c", "aXcYb", false)]
    #[case("a*a", "a", false)]
    #[case("**", "x", true)]
    fn patterns_fit(#[case] pattern: &str, #[case] name: &str, #[case] fits: bool) {
        assert_eq!(matches(pattern, name), fits);
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_name_fits_it(name in "[a-z_0-9ä]{0,20}", cut in 0usize..20) {
            let cut = name.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(name.len());
            let pattern = format!("{}*{}", &name[..cut], &name[cut..]);
            prop_assert!(matches(&pattern, &name));
        }

        #[test]
        fn no_pattern_makes_it_panic(pattern in "\\PC*", name in "\\PC*") {
            let _ = matches(&pattern, &name);
        }
    }
}
