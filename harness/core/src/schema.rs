//! JSON Schemas of what files and reports are made of.

use schemars::JsonSchema;

/// The JSON Schema of a type, as an indented text with a final newline.
pub fn of<T: JsonSchema>() -> String {
    // A schema is a tree of plain values: writing it cannot fail.
    serde_json::to_string_pretty(&schemars::schema_for!(T)).unwrap_or_default() + "\n"
}
