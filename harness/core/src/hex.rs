//! Hashes and random bytes as people and files have them.

/// Bytes in hexadecimal, two letters each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
