//! A form, and what a browser sends when a person fills it in.

use url::form_urlencoded::Serializer;

/// A form of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// Where it goes, as it is written; none is the page itself.
    pub action: Option<String>,
    /// Whether it is posted.
    pub is_post: bool,
    /// Its fields, in the order of the page. Buttons are not among them: those that one presses in Pretix
    /// have no name.
    pub fields: Vec<Field>,
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
}

impl Form {
    /// Names and values as they are sent, after `fill` was filled in: pairs of a field's name and its value.
    ///
    /// `*` in a name stands for anything. A field that the form does not have is sent all the same if its
    /// name has no `*`, as a script of the page would do.
    pub fn filled(&self, fill: &[(String, String)]) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = Vec::with_capacity(self.fields.len() + 1);
        let mut touched: Vec<&str> = Vec::new();
        for field in &self.fields {
            match wanted(fill, &field.name) {
                Some(value) if !touched.contains(&field.name.as_str()) => {
                    touched.push(&field.name);
                    pairs.push((field.name.clone(), value.to_owned()));
                }
                Some(_) => {}
                None if field.is_sent => pairs.push((field.name.clone(), field.value.clone())),
                None => {}
            }
        }
        let missing = fill.iter().filter(|(name, _)| !name.contains('*') && !touched.contains(&name.as_str()));
        pairs.extend(missing.cloned());
        pairs
    }
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
pub fn encode(pairs: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
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
        };
        Form { action: None, is_post: true, fields: fields.iter().map(field).collect() }
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
        assert_eq!(encode(&form(fields).filled(&fill)), body);
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
