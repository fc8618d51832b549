//! A small disk of its own, and what happens to the files of SQLite.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::support::Place;

/// Mounted where a data directory will be; needs root.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256m,mode=0700", "tmpfs"]).arg(at);
        let is_mounted = mount.output().is_ok_and(|ran| ran.status.success());
        is_mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Fills the disk of the data directory, and makes room again after `time`.
pub(crate) async fn fill(place: &Place, time: Duration) {
    let path = place.data_dir().join("filler");
    block_in_place(|| {
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let piece = vec![7_u8; size];
            while file.write_all(&piece).is_ok() {}
        }
    });
    sleep(time).await;
    std::fs::remove_file(path).unwrap();
}

/// Holds the write lock of a file of SQLite for so long, as a copy by hand or another tool does.
pub(crate) async fn lock(place: &Place, file: &str, time: Duration) {
    let url = format!("sqlite:{}", place.data_dir().join(file).display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for _ in 0..200 {
        if sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.is_ok() {
            sleep(time).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
            break;
        }
    }
    connection.close().await.unwrap();
}
