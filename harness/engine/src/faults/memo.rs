//! Memos: what the undo of a fault on one node has to know, written into the undo record.

use super::InjectorError;
use crate::stack::Node;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the undo of a fault on one node has to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memo(serde_json::Value);

impl Memo {
    /// Nothing to know.
    pub fn none() -> Self {
        Self::default()
    }

    /// From any value.
    pub fn of<T: Serialize>(node: &Node, value: &T) -> Result<Self, InjectorError> {
        serde_json::to_value(value).map(Self).map_err(|error| InjectorError::failed(node, format!("memo: {error}")))
    }

    /// Back into the value.
    pub fn read<T: DeserializeOwned>(&self, node: &Node) -> Result<T, InjectorError> {
        let read = serde_json::from_value(self.0.clone());
        read.map_err(|error| InjectorError::failed(node, format!("the undo record cannot be read: {error}")))
    }
}
