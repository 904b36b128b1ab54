//! Tar archives, written byte by byte so that two of the same content are equal: names sorted, one time, one owner.
//!
//! Only what a release needs: files and directories with short names (the format of 1988, which everything reads).

use std::{collections::BTreeMap, io::Write as _};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};

const BLOCK: usize = 512;

/// A file to be archived.
#[derive(Clone, Debug)]
struct File {
    content: Vec<u8>,
    executable: bool,
}

/// Files by their path inside the archive.
#[derive(Clone, Debug, Default)]
pub(super) struct Archive(BTreeMap<String, File>);

impl Archive {
    pub(super) fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), File { content: content.into(), executable: false });
    }

    pub(super) fn add_program(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), File { content: content.into(), executable: true });
    }

    /// The archive, with `seconds` as the time of everything in it.
    pub(super) fn tar(&self, seconds: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (path, file) in &self.0 {
            let mode = if file.executable { 0o755 } else { 0o644 };
            bytes.extend(header(path, file.content.len() as u64, mode, seconds).with_context(|| format!("failed to archive {path}"))?);
            bytes.extend(&file.content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        Ok(bytes)
    }

    pub(super) fn tar_gz(&self, seconds: u64) -> Result<Vec<u8>> {
        gzip(&self.tar(seconds)?)
    }
}

/// Without a name and a time of its own.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("failed to compress")?;
    encoder.finish().context("failed to compress")
}

fn header(path: &str, size: u64, mode: u32, seconds: u64) -> Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut put = |start: usize, length: usize, text: &str| -> Result<()> {
        if text.len() > length {
            bail!("{text:?} is longer than {length} bytes");
        }
        block[start..start + text.len()].copy_from_slice(text.as_bytes());
        Ok(())
    };
    put(0, 100, path)?;
    put(100, 7, &format!("{mode:07o}"))?;
    put(108, 7, "0000000")?;
    put(116, 7, "0000000")?;
    put(124, 11, &format!("{size:011o}"))?;
    put(136, 11, &format!("{seconds:011o}"))?;
    // The sum is taken with blanks in its own place.
    put(148, 8, "        ")?;
    put(156, 1, "0")?;
    put(257, 8, "ustar\x0000")?;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    fn archive() -> Archive {
        let mut archive = Archive::default();
        archive.add_program("bin/program", [1, 2, 3]);
        archive.add("LICENSE", "words\n");
        archive
    }

    #[test]
    fn tar_itself_reads_what_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive.tar.gz");
        std::fs::write(&path, archive().tar_gz(1_700_000_000).unwrap()).unwrap();
        let mut tar = command::program("tar").unwrap();
        let said = command::capture(tar.args(["--utc", "--full-time", "--numeric-owner", "-tvzf"]).arg(&path)).unwrap();
        let words: Vec<String> = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(words, ["-rw-r--r-- 0/0 6 2023-11-14 22:13:20 LICENSE", "-rwxr-xr-x 0/0 3 2023-11-14 22:13:20 bin/program"]);
        command::run(command::program("tar").unwrap().arg("-xzf").arg(&path).arg("-C").arg(directory.path())).unwrap();
        assert_eq!(std::fs::read(directory.path().join("bin/program")).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn the_order_in_which_files_come_makes_no_difference() {
        let mut other = Archive::default();
        other.add("LICENSE", "words\n");
        other.add_program("bin/program", [1, 2, 3]);
        assert_eq!(archive().tar_gz(1).unwrap(), other.tar_gz(1).unwrap());
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut archive = Archive::default();
        archive.add("x".repeat(101), "");
        assert!(archive.tar(0).is_err());
    }
}
