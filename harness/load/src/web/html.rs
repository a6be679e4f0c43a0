//! What of a page matters to a buyer: its forms, what it is made of, and what it warns of.
//!
//! Read from the stream of tags by `html5gum`, a tokenizer that follows the WHATWG standard (it passes
//! html5lib's tests), takes any bytes, and has no dependencies. A tree is not needed, hence no parser that
//! builds one (`scraper` brings 30 crates and keeps the page in memory); `lol_html` is made for rewriting
//! and fails on what it finds ambiguous; `tl` was last changed in 2023 and decodes no character references.

use super::form::{Button, Field, Form};
use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use std::collections::BTreeSet;

/// Characters of a warning that are kept.
const WARNING_CHARS: usize = 300;

/// A page, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its forms.
    pub forms: Vec<Form>,
    /// Addresses of its style sheets, icons, scripts and pictures, as they are written, each once.
    pub assets: BTreeSet<String>,
    /// The text of its first warning (`alert-danger` or `alert-warning`), in short; empty is none.
    pub warning: String,
    /// After how many seconds it asks to be loaded anew: a page that says "please wait".
    pub refresh_s: Option<u64>,
}

/// A piece of a page.
pub(crate) enum Piece {
    Open(Tag),
    Close(Vec<u8>),
    Text(Vec<u8>),
}

/// A tag that opens an element.
pub(crate) struct Tag(StartTag<()>);

impl Tag {
    pub(crate) fn name(&self) -> &[u8] {
        &self.0.name
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let value = self.0.attributes.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    fn has(&self, name: &str) -> bool {
        self.0.attributes.contains_key(name.as_bytes())
    }

    /// Whether this word is in an attribute that has words.
    pub(crate) fn has_word(&self, name: &str, word: &str) -> bool {
        self.0.attributes.get(name.as_bytes()).is_some_and(|words| {
            words.split(u8::is_ascii_whitespace).any(|one| one.eq_ignore_ascii_case(word.as_bytes()))
        })
    }
}

/// The pieces of a page, without what only a browser without scripts shows.
pub(crate) fn pieces(page: &[u8]) -> impl Iterator<Item = Piece> {
    let mut emitter = DefaultEmitter::default();
    // Scripts and style sheets within the page are text, whatever stands in them.
    emitter.naively_switch_states(true);
    let mut hidden = 0usize;
    let tokens = Tokenizer::new_with_emitter(page, emitter).map_while(Result::ok);
    tokens.filter_map(move |token| match token {
        Token::StartTag(tag) if **tag.name == *b"noscript" => {
            hidden += 1;
            None
        }
        Token::EndTag(tag) if **tag.name == *b"noscript" => {
            hidden = hidden.saturating_sub(1);
            None
        }
        _ if hidden > 0 => None,
        Token::StartTag(tag) => Some(Piece::Open(Tag(tag))),
        Token::EndTag(tag) => Some(Piece::Close(tag.name.into())),
        Token::String(text) => Some(Piece::Text(text.value.into())),
        Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => None,
    })
}

/// Reads a page. Anything is a page; what cannot be understood is left out.
pub fn read(page: &[u8]) -> Document {
    let mut reader = Reader::default();
    for piece in pieces(page) {
        match piece {
            Piece::Open(tag) => reader.open(&tag),
            Piece::Close(name) => reader.close(&name),
            Piece::Text(text) => reader.text(&text),
        }
    }
    reader.end_form();
    reader.document.warning = short(&reader.document.warning);
    reader.document
}

/// The words of a text, on one line.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(WARNING_CHARS).collect()
}

#[derive(Default)]
struct Reader {
    document: Document,
    form: Option<Form>,
    list: Option<List>,
    /// The text of the field that is being read, with its name.
    area: Option<(Option<String>, String)>,
    /// Open `div`s within the warning, itself included.
    warning: usize,
    warned: bool,
}

/// A list (`select`) that is being read.
struct List {
    name: Option<String>,
    takes_several: bool,
    options: Vec<Choice>,
    /// Whether the text that comes belongs to the last option.
    in_option: bool,
}

struct Choice {
    value: Option<String>,
    text: String,
    is_chosen: bool,
    is_disabled: bool,
}

impl Reader {
    fn open(&mut self, tag: &Tag) {
        match tag.name() {
            // A form within a form is none.
            b"form" if self.form.is_none() => {
                let is_post = tag.attribute("method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
                let action = tag.attribute("action").filter(|action| !action.trim().is_empty());
                let is_multipart = tag.has_word("enctype", "multipart/form-data");
                self.form = Some(Form { action, is_post, is_multipart, ..Form::default() });
            }
            b"input" => self.input(tag),
            b"button" => self.button(tag),
            b"select" => {
                let list = List {
                    name: field_name(tag),
                    takes_several: tag.has("multiple"),
                    options: Vec::new(),
                    in_option: false,
                };
                self.list = Some(list);
            }
            b"option" => self.option(tag),
            b"textarea" => self.area = Some((field_name(tag), String::new())),
            b"link" if tag.has_word("rel", "stylesheet") || tag.has_word("rel", "icon") => self.asset(tag, "href"),
            b"script" | b"img" => self.asset(tag, "src"),
            b"meta" if tag.has_word("http-equiv", "refresh") => {
                let content = tag.attribute("content").unwrap_or_default();
                // Behind the seconds there may be another address.
                let seconds = content.split([';', ',']).next().unwrap_or_default();
                self.document.refresh_s = seconds.trim().parse().ok();
            }
            b"div" => self.block(tag),
            _ => {}
        }
    }

    fn close(&mut self, name: &[u8]) {
        match name {
            b"form" => self.end_form(),
            b"select" => self.end_list(),
            b"option" => {
                if let Some(list) = &mut self.list {
                    list.in_option = false;
                }
            }
            b"textarea" => {
                if let Some((Some(name), text)) = self.area.take() {
                    // The first line break after the tag is not part of the text.
                    let value = text.strip_prefix('\n').unwrap_or(&text).to_owned();
                    self.field(Field { name, value, is_sent: true, is_file: false });
                }
            }
            b"div" => self.warning = self.warning.saturating_sub(1),
            _ => {}
        }
    }

    fn text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        if self.warning > 0 {
            self.document.warning.push_str(&text);
        }
        if let Some((_, area)) = &mut self.area {
            area.push_str(&text);
        }
        if let Some(option) = self.list.as_mut().filter(|list| list.in_option).and_then(|list| list.options.last_mut())
        {
            option.text.push_str(&text);
        }
    }

    fn field(&mut self, field: Field) {
        if let Some(form) = &mut self.form {
            form.fields.push(field);
        }
    }

    fn input(&mut self, tag: &Tag) {
        let kind = tag.attribute("type").unwrap_or_default().to_ascii_lowercase();
        if matches!(kind.as_str(), "submit" | "image") {
            // Of a picture, a browser sends where on it one pressed: nobody asks for that.
            return self.submitter(tag, kind == "image");
        }
        let Some(name) = field_name(tag) else { return };
        let value = tag.attribute("value");
        match kind.as_str() {
            "button" | "reset" => {}
            "file" => self.field(Field { name, value: String::new(), is_sent: true, is_file: true }),
            "checkbox" | "radio" => {
                let is_sent = tag.has("checked");
                self.field(Field { name, value: value.unwrap_or_else(|| "on".to_owned()), is_sent, is_file: false });
            }
            _ => self.field(Field { name, value: value.unwrap_or_default(), is_sent: true, is_file: false }),
        }
    }

    fn button(&mut self, tag: &Tag) {
        let kind = tag.attribute("type").unwrap_or_default().to_ascii_lowercase();
        // Whatever else stands there is a button that submits.
        if !matches!(kind.as_str(), "button" | "reset") {
            self.submitter(tag, false);
        }
    }

    /// A button that submits the form, unless it cannot be pressed.
    fn submitter(&mut self, tag: &Tag, is_picture: bool) {
        let Some(form) = self.form.as_mut().filter(|_| !tag.has("disabled")) else { return };
        let name = if is_picture { None } else { tag.attribute("name") };
        form.buttons.push(Button {
            name: name.unwrap_or_default(),
            value: tag.attribute("value").unwrap_or_default(),
            action: tag.attribute("formaction").filter(|action| !action.trim().is_empty()),
            fields_before: form.fields.len(),
        });
    }

    fn option(&mut self, tag: &Tag) {
        if let Some(list) = &mut self.list {
            list.in_option = true;
            list.options.push(Choice {
                value: tag.attribute("value"),
                text: String::new(),
                is_chosen: tag.has("selected"),
                is_disabled: tag.has("disabled"),
            });
        }
    }

    fn end_list(&mut self) {
        let Some(List { name: Some(name), takes_several, mut options, .. }) = self.list.take() else { return };
        if !takes_several {
            // Of a list that takes one, the last that is chosen counts; the first, where none is.
            let chosen = options.iter().rposition(|option| option.is_chosen);
            let chosen = chosen.or_else(|| options.iter().position(|option| !option.is_disabled));
            for (index, option) in options.iter_mut().enumerate() {
                option.is_chosen = Some(index) == chosen;
            }
        }
        for option in options {
            let value = option.value.unwrap_or_else(|| short(&option.text));
            self.field(Field {
                name: name.clone(),
                value,
                is_sent: option.is_chosen && !option.is_disabled,
                is_file: false,
            });
        }
    }

    fn end_form(&mut self) {
        if let Some(form) = self.form.take() {
            self.document.forms.push(form);
        }
    }

    fn asset(&mut self, tag: &Tag, attribute: &str) {
        if let Some(address) = tag.attribute(attribute).filter(|address| !address.trim().is_empty()) {
            self.document.assets.insert(address);
        }
    }

    fn block(&mut self, tag: &Tag) {
        let warns = tag.has_word("class", "alert-danger") || tag.has_word("class", "alert-warning");
        if self.warning > 0 || (warns && !self.warned) {
            self.warning += 1;
            self.warned = true;
        }
    }
}

/// The name of a field that can be sent.
fn field_name(tag: &Tag) -> Option<String> {
    tag.attribute("name").filter(|name| !name.is_empty() && !tag.has("disabled"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::form::{Body, Pressed};
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::hidden(r#"<input type="hidden" name="t" value="a&amp;b">"#, "t=a%26b")]
    #[case::text(r#"<input name=email><input name="">"#, "email=")]
    #[case::buttons(r#"<input type=submit name=go value=1><button name=b value=2>B</button>"#, "")]
    #[case::boxes(r#"<input type=checkbox name=a checked><input type=CHECKBOX name=b value=2>"#, "a=on")]
    #[case::radio(r#"<input type=radio name=p value=1><input type=radio name=p value=2 checked>"#, "p=2")]
    #[case::disabled(r#"<input name=a value=1 disabled><select name=b disabled><option>1</select>"#, "")]
    #[case::first_of_a_list("<select name=c><option value=DE>Germany<option value=AT>Austria</select>", "c=DE")]
    #[case::chosen_of_a_list("<select name=c><option>a</option><option selected> b </option></select>", "c=b")]
    #[case::prompt_of_a_list("<select name=c><option value='' disabled>-<option value=x>X</select>", "c=x")]
    #[case::empty_list("<select name=c></select>", "")]
    #[case::several_of_a_list(
        "<select name=c multiple><option selected>a<option>b<option selected>c</select>",
        "c=a&c=c"
    )]
    #[case::area("<textarea name=t>\nline &lt;1&gt;\n</textarea>", "t=line+%3C1%3E%0D%0A")]
    #[case::within_a_script("<script>document.write('<input name=x value=1>')</script>", "")]
    #[case::without_scripts("<noscript><input name=x value=1></noscript>", "")]
    #[case::form_within(r#"<form><input name=a value=1></form><input name=b>"#, "a=1")]
    fn fields_are_sent_as_by_a_browser(#[case] fields: &str, #[case] body: &str) {
        let document = read(format!("<form method=post action='/x'>{fields}</form>").as_bytes());
        assert!(document.forms[0].is_post);
        assert_eq!(Body::urlencoded(&document.forms[0].filled(&[], None)).text, body);
    }

    #[rstest]
    #[case::of_any_type("<button name=go value=1>", "a=1&go=1")]
    #[case::of_an_unknown_type("<button type=x name=go value=1>", "a=1&go=1")]
    #[case::as_a_field("<input type=submit name=go value=1>", "a=1&go=1")]
    #[case::without_a_value("<input type=SUBMIT name=go>", "a=1&go=")]
    #[case::without_a_name("<button value=1>Go</button>", "a=1")]
    #[case::a_picture("<input type=image name=go value=1>", "a=1")]
    #[case::for_scripts_only("<button type=button name=x></button><button type=reset name=y>", "a=1")]
    #[case::disabled("<button name=x disabled></button><button name=go value=2>", "a=1&go=2")]
    #[case::the_first("<button name=go value=1></button><button name=go value=2>", "a=1&go=1")]
    fn a_form_is_submitted_by_its_first_button(#[case] buttons: &str, #[case] body: &str) {
        let document = read(format!("<form method=post><input name=a value=1>{buttons}</form>").as_bytes());
        let button = match document.forms[0].pressed(None) {
            Pressed::Button(button) => Some(button),
            _ => None,
        };
        assert_eq!(Body::urlencoded(&document.forms[0].filled(&[], button)).text, body);
    }

    #[test]
    fn a_form_with_a_file_is_one_of_parts() {
        let page = "<form method=post enctype='Multipart/Form-Data'><input type=file name=photo></form><form></form>";
        let forms = read(page.as_bytes()).forms;
        assert_eq!((forms[0].is_multipart, forms[1].is_multipart), (true, false));
        assert!(Body::multipart(&forms[0].filled(&[], None)).text.contains("name=\"photo\"; filename=\"\"\r\n"));
        assert_eq!(Body::urlencoded(&forms[0].filled(&[], None)).text, "photo=");
    }

    #[test]
    fn forms_have_their_own_fields() {
        let page = r#"<input name=stray><form action=" "><input name=q></form>
            <form method="POST" action="/cart/add?next=/&amp;x=1"><input name=item_5></form>
            <dialog><form method="dialog"><button>OK</button></form></dialog>"#;
        let forms = read(page.as_bytes()).forms;
        assert_eq!(forms.len(), 3);
        assert_eq!((forms[0].action.as_deref(), forms[0].is_post), (None, false));
        assert_eq!((forms[1].action.as_deref(), forms[1].is_post), (Some("/cart/add?next=/&x=1"), true));
        assert_eq!(forms[1].fields.len(), 1);
        assert!(!forms[2].is_post);
    }

    #[test]
    fn a_page_is_made_of_each_asset_once() {
        let page = r#"<link rel="stylesheet" href="/a.css"><link rel="shortcut icon" href="/i.ico">
            <link rel=canonical href="/x"><script src="/b.js"></script><script>1</script><img src="/c.png">
            <img src="/c.png"><img alt="">"#;
        let assets = read(page.as_bytes()).assets;
        assert_eq!(assets.iter().map(String::as_str).collect::<Vec<_>>(), ["/a.css", "/b.js", "/c.png", "/i.ico"]);
    }

    #[rstest]
    #[case(r#"<meta http-equiv="refresh" content="10">"#, Some(10))]
    #[case(r#"<meta http-equiv=Refresh content=" 3; url=/x">"#, Some(3))]
    #[case(r#"<meta http-equiv="refresh" content="soon">"#, None)]
    #[case(r#"<meta name="viewport" content="10">"#, None)]
    fn a_page_may_ask_to_be_loaded_anew(#[case] page: &str, #[case] refresh_s: Option<u64>) {
        assert_eq!(read(page.as_bytes()).refresh_s, refresh_s);
    }

    #[test]
    fn the_first_warning_is_kept() {
        let page = r#"<div class="alert alert-danger"><div>Your cart <b>is
            empty</b></div></div><p>no</p><div class="alert alert-danger">more</div>"#;
        assert_eq!(read(page.as_bytes()).warning, "Your cart is empty");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(page in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&page);
        }

        #[test]
        fn no_tags_make_it_panic(
            tags in prop::collection::vec(
                prop::sample::select(vec![
                    "<form method=post>", "</form>", "<select name=a>", "</select>", "<option value=1 selected>",
                    "<textarea name=t>", "</textarea>", "<noscript>", "</noscript>", "<div class=alert-danger>",
                    "</div>", "<input type=radio name=r>", "<script>", "</script>", "text", "<", "&#x0;",
                ]),
                0..40,
            ),
        ) {
            let document = read(tags.concat().as_bytes());
            for form in &document.forms {
                prop_assert!(form.fields.iter().all(|field| !field.name.is_empty()));
            }
        }
    }
}
