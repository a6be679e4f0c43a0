//! Build contexts: read, hashed, packed.

use firedrill_core::hex::hex;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A context cannot be read.
#[derive(Debug, Error)]
pub enum ContextError {
    /// A file or folder cannot be read.
    #[error("the build context {path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No Dockerfile.
    #[error("the build context {path} has no Dockerfile")]
    NoDockerfile {
        /// Which.
        path: PathBuf,
    },
}

/// A file of a context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// Path inside the context.
    pub(super) path: String,
    /// Whether it is executable.
    pub(super) executable: bool,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// Name under which the host's CA bundle is put into every context. It is not part of the hash: another
/// host's bundle does not make another image.
const HOST_CA: &str = "host-ca.crt";

/// Where distributions keep their CA bundle.
const CA_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Reads all files of a context, sorted by path.
pub(super) fn read(folder: &Path) -> Result<Vec<File>, ContextError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(path) = folders.pop() {
        let failed = |source| ContextError::Read { path: path.clone(), source };
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let metadata = entry.metadata().map_err(failed)?;
            if name == "__pycache__" {
                continue;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).map_err(failed)?;
            let path = entry.path();
            let inside = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(File { path: inside, executable: is_executable(&metadata), bytes });
        }
    }
    if !files.iter().any(|file| file.path == "Dockerfile") {
        return Err(ContextError::NoDockerfile { path: folder.to_path_buf() });
    }
    files.sort();
    Ok(files)
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

/// SHA-256 over the base image's id and every file's path, mode and bytes, in hexadecimal.
pub(super) fn hash(files: &[File], base: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(base.as_bytes());
    for file in files {
        hasher.update((file.path.len() as u64).to_le_bytes());
        hasher.update(file.path.as_bytes());
        hasher.update([u8::from(file.executable)]);
        hasher.update((file.bytes.len() as u64).to_le_bytes());
        hasher.update(&file.bytes);
    }
    hex(&hasher.finalize())
}

/// Packs a context as the builder wants it, with the host's CA bundle where there is one.
pub(super) fn tar(files: &[File]) -> Result<Vec<u8>, ContextError> {
    let failed = |source| ContextError::Read { path: PathBuf::from("(archive)"), source };
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        append(&mut archive, &file.path, &file.bytes, file.executable).map_err(failed)?;
    }
    let given = std::env::var("SSL_CERT_FILE").ok();
    let bundles = given.as_deref().into_iter().chain(CA_BUNDLES);
    if let Some(bundle) = bundles.filter_map(|path| std::fs::read(path).ok()).next() {
        append(&mut archive, HOST_CA, &bundle, false).map_err(failed)?;
    }
    archive.into_inner().map_err(failed)
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    // The builder caches COPY by content and metadata: a fixed time keeps the cache.
    header.set_mtime(0);
    header.set_cksum();
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: &[u8]) -> File {
        File { path: path.to_owned(), executable: false, bytes: bytes.to_vec() }
    }

    #[test]
    fn the_hash_changes_with_every_part_of_the_context() {
        let base = hash(&[file("a", b"1"), file("b", b"2")], "base");
        assert_eq!(base, hash(&[file("a", b"1"), file("b", b"2")], "base"));
        let executable = File { executable: true, ..file("a", b"1") };
        let others = [
            hash(&[file("a", b"1"), file("b", b"3")], "base"),
            hash(&[file("a", b"1"), file("c", b"2")], "base"),
            hash(&[file("a", b"1"), file("b", b"2")], "other"),
            hash(&[executable, file("b", b"2")], "base"),
            hash(&[file("a", b"1b2")], "base"),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_folder_without_a_dockerfile_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x"), "y").expect("a file");
        assert!(matches!(read(folder.path()), Err(ContextError::NoDockerfile { .. })));
        std::fs::write(folder.path().join("Dockerfile"), "FROM scratch").expect("a file");
        let files = read(folder.path()).expect("readable");
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["Dockerfile", "x"]);
    }
}
