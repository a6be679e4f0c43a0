//! Files that another process relies on after a crash.

use std::fs::{File, OpenOptions, create_dir_all, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file, and its folder where there is none, and syncs both. The file is renamed when it is whole, so that
/// whoever reads it after a crash reads all of it or nothing. `mode` are its permissions, less the umask.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_dir_all(folder)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_is_as_private_as_it_shall_be() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("records/r1.json");
        for text in ["a first and longer text", "a second"] {
            write(&path, text.as_bytes(), 0o600).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
        }
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(parent.path().join("records")).expect("readable");
        assert_eq!(files.count(), 1, "no draft is left");
    }
}
