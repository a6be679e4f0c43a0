//! Compose's variable interpolation, the part that topologies use: `$NAME`, `${NAME}`, `${NAME:-default}`,
//! `${NAME:?message}` and `$$` for a dollar sign.

use thiserror::Error;

/// A text cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InterpolateError {
    /// No value and no default.
    #[error("the variable {name} has no value{}", detail(.message))]
    Missing {
        /// The variable.
        name: String,
        /// What the file says about it (`${NAME:?message}`).
        message: String,
    },
    /// Not one of the supported forms.
    #[error("{text:?} is not understood: write $NAME, ${{NAME}}, ${{NAME:-default}}, ${{NAME:?message}} or $$")]
    Malformed {
        /// The text from the dollar sign on.
        text: String,
    },
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Fills in the variables of a text.
pub fn interpolate(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, InterpolateError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let malformed = || InterpolateError::Malformed { text: rest[dollar..].to_owned() };
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end = tail.find('}').ok_or_else(malformed)?;
            out.push_str(&braced(&tail[..end], variable).ok_or_else(malformed)??);
            rest = &tail[end + 1..];
        } else {
            let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
            if end == 0 {
                return Err(malformed());
            }
            out.push_str(&value(&after[..end], "", variable)?);
            rest = &after[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The value of what stands between the braces; none where it is malformed.
fn braced(inner: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<Result<String, InterpolateError>> {
    let end = inner.find(|c: char| !is_name(c)).unwrap_or(inner.len());
    let (name, operator) = inner.split_at(end);
    if name.is_empty() {
        return None;
    }
    if operator.is_empty() {
        return Some(value(name, "", variable));
    }
    if let Some(default) = operator.strip_prefix(":-") {
        let filled = variable(name).filter(|value| !value.is_empty());
        return Some(Ok(filled.unwrap_or_else(|| default.to_owned())));
    }
    operator.strip_prefix(":?").map(|message| value(name, message, variable))
}

fn value(name: &str, message: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, InterpolateError> {
    let missing = || InterpolateError::Missing { name: name.to_owned(), message: message.to_owned() };
    variable(name).filter(|value| !value.is_empty()).ok_or_else(missing)
}
