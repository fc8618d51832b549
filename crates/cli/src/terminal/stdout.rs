//! Whether standard output can take a result, found out before the result is made: a token that nobody could
//! see cannot be shown again.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, FileType, OFlags};
use rustix::io::Errno;

/// More than any result that is shown only once.
const ROOM: u64 = 16 * 1024;
/// `/dev/null`.
const NULL: (u32, u32) = (1, 3);

/// Why nothing can be written there, as far as that can be known.
pub(super) fn check(out: &impl AsFd) -> Result<(), String> {
    let text = |error: Errno| io::Error::from(error).to_string();
    // Nothing to a device that is full, or a descriptor that cannot be written to.
    match rustix::io::write(out, &[]) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => return Err(text(error)),
    }
    let mut polled = [PollFd::new(out, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut polled, Some(&at_once)).is_ok()
        && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    {
        return Err("its reader has gone".to_owned());
    }
    let Ok(stat) = rustix::fs::fstat(out) else { return Ok(()) };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice if is_closed(out, stat.st_rdev) => {
            Err("it is closed, or leads nowhere".to_owned())
        }
        FileType::RegularFile => room(out, u64::try_from(stat.st_size).unwrap_or(0)),
        _ => Ok(()),
    }
}

/// What was closed when the process began is the null device by now, open both ways; a shell that is told to
/// throw the output away opens it to be written.
fn is_closed(out: &impl AsFd, device: u64) -> bool {
    let is_null = (rustix::fs::major(device), rustix::fs::minor(device)) == NULL;
    is_null && rustix::fs::fcntl_getfl(out).is_ok_and(|flags| flags.contains(OFlags::RDWR))
}

/// Room behind the end of a file, kept for what is to come.
fn room(out: &impl AsFd, size: u64) -> Result<(), String> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    // A write beyond it would be the end of the process.
    if limit.is_some_and(|limit| size.saturating_add(ROOM) > limit) {
        return Err("files may not become so large (ulimit -f)".to_owned());
    }
    match rustix::fs::fallocate(out, FallocateFlags::KEEP_SIZE, size, ROOM) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS | Errno::BADF)) => {
            Err(io::Error::from(error).to_string())
        }
        // Not every file system knows how.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};

    use super::*;

    #[test]
    fn what_cannot_be_written_to_is_known_beforehand() {
        let (reader, writer) = io::pipe().unwrap();
        assert_eq!(check(&writer), Ok(()));
        drop(reader);
        assert_eq!(check(&writer), Err("its reader has gone".to_owned()));
        let mut options = OpenOptions::new();
        assert!(check(&options.write(true).open("/dev/full").unwrap()).is_err());
        assert_eq!(check(&options.open("/dev/null").unwrap()), Ok(()));
        // As a closed one is.
        assert!(check(&options.read(true).open("/dev/null").unwrap()).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(check(file.as_file()), Ok(()));
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
        assert!(check(&File::open(file.path()).unwrap()).is_err(), "only to be read");
    }
}
