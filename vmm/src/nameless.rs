//! Files without a name, which are gone with their last user; and what stands for one where the file system has
//! none, as overlays of containers may not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A new file for its owner only, in this folder: without a name or, where that cannot be, with this one, which is
/// returned too.
pub fn create(folder: &Path, name: &str) -> io::Result<(File, Option<PathBuf>)> {
    let nameless = options().custom_flags(libc::O_TMPFILE).open(folder);
    or_named(nameless, folder.join(name))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn or_named(nameless: io::Result<File>, name: PathBuf) -> io::Result<(File, Option<PathBuf>)> {
    match nameless {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            let file = options().create_new(true).open(&name)?;
            Ok((file, Some(name)))
        }
        nameless => Ok((nameless?, None)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refused(errno: i32) -> io::Result<File> {
        Err(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn where_no_file_is_nameless_it_has_a_name_and_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("it");
        let (_, name) = or_named(refused(libc::EOPNOTSUPP), place.clone()).unwrap();
        assert_eq!(name.as_ref(), Some(&place));
        let mode = place.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = or_named(refused(libc::EOPNOTSUPP), place);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn other_errors_are_told_and_make_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = or_named(refused(libc::ENOSPC), folder.path().join("it")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert!(create(&folder.path().join("none"), "it").is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn no_name_is_left_behind_where_files_need_none() {
        let folder = tempfile::tempdir().unwrap();
        let (file, name) = create(folder.path(), "it").unwrap();
        file.set_len(1).unwrap();
        let names = folder.path().read_dir().unwrap().count();
        assert_eq!(names, usize::from(name.is_some()));
    }
}
