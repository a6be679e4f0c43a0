//! Progress as the engine reports it; how it looks (bars, plain lines) is up to whoever listens.

/// Listens to what is going on. Called from several tasks at once.
pub trait Progress: Send + Sync {
    /// A task began, for example `image firedrill/postgres`.
    fn begin(&self, task: &str);
    /// A task says where it is.
    fn update(&self, task: &str, text: &str);
    /// A task is over, with a note on how it went.
    fn end(&self, task: &str, note: &str);
    /// Something worth a line of its own.
    fn note(&self, text: &str);
}

/// Listens to nothing, for tests.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str) {}
    fn update(&self, _: &str, _: &str) {}
    fn end(&self, _: &str, _: &str) {}
    fn note(&self, _: &str) {}
}
