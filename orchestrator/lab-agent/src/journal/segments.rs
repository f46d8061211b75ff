//! The journal on disk: files of about 1 MiB, each named by the offset of its first byte, each starting at a record's
//! start. No fsync: a killed agent loses nothing that it wrote, and a dead machine takes the sandbox with it; what must
//! outlive the machine is the recorder's. A file whose segment is dropped is the next segment's: see [`SPARES_MAX`].

use bytes::BytesMut;
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Files that are no longer needed and kept for the next segment. A flood of 80 MB/s needs eighty a second: a file that is written over has its
/// blocks and its pages, where a new one has them found, zeroed and given back, which was two fifths of what the agent's main thread did.
const SPARES_MAX: usize = 2;
/// Their names' ending: no segment.
const SPARE: &str = "spare";
/// A segment is closed once it has this many bytes: small enough that dropping whole files keeps little too much.
const SEGMENT_BYTES: u64 = 1024 * 1024;

struct Segment {
    start: u64,
    len: u64,
}

/// All segments; the last one is being written.
pub struct Segments {
    dir: PathBuf,
    list: VecDeque<Segment>,
    file: Option<File>,
    end: u64,
    /// Files to be written over.
    spares: Vec<PathBuf>,
    #[cfg(test)]
    failing: bool,
}

impl Segments {
    /// No segment yet. Those of an agent that ran here before are moved to `<dir>.previous`.
    pub fn open(dir: &Path) -> io::Result<Self> {
        if dir.is_dir() && fs::read_dir(dir)?.next().is_some() {
            let previous = dir.with_extension("previous");
            if previous.exists() {
                fs::remove_dir_all(&previous)?;
            }
            fs::rename(dir, &previous)?;
        }
        fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            list: VecDeque::new(),
            file: None,
            end: 0,
            spares: Vec::new(),
            #[cfg(test)]
            failing: false,
        })
    }

    /// Writes one whole record. After an error nothing of it counts as written.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if self.failing {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        if self.list.back().is_none_or(|s| s.len >= SEGMENT_BYTES) {
            self.file = None;
            self.file = Some(self.next_file()?);
            self.list.push_back(Segment {
                start: self.end,
                len: 0,
            });
        }
        let segment = self.list.back_mut().expect("pushed above when there was none");
        let file = self.file.as_ref().expect("open whenever there is a last segment");
        // at its own position, so that the next try after an error overwrites what this one left half done
        file.write_all_at(record, segment.len)?;
        segment.len += record.len() as u64;
        self.end += record.len() as u64;
        Ok(())
    }

    /// The next segment's file: a spare one, or a new one. What a spare has beyond the segment's own bytes is read by nobody.
    fn next_file(&mut self) -> io::Result<File> {
        let path = self.path(self.end);
        if let Some(spare) = self.spares.pop() {
            fs::rename(spare, &path)?;
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }

    fn path(&self, start: u64) -> PathBuf {
        self.dir.join(format!("{start:020}.journal"))
    }

    /// Reads up to `max` bytes from `from`, which must be kept; ends at the segment's end.
    pub fn read(&self, from: u64, max: usize, out: &mut BytesMut) -> io::Result<()> {
        let i = self.list.partition_point(|s| s.start + s.len <= from);
        let Some(segment) = self.list.get(i).filter(|s| s.start <= from) else {
            return Ok(());
        };
        let n = max.min((segment.start + segment.len - from) as usize);
        let at = out.len();
        out.resize(at + n, 0);
        File::open(self.path(segment.start))?.read_exact_at(&mut out[at..], from - segment.start)
    }

    /// Removes whole segments below `offset`, never the last one.
    pub fn drop_below(&mut self, offset: u64) {
        while self.list.len() > 1 && self.list[0].start + self.list[0].len <= offset {
            let path = self.path(self.list[0].start);
            if let Err(error) = self.give_back(&path) {
                crate::log::line("warn", "journal-drop", &format!("{}: {error}", path.display()));
            }
            self.list.pop_front();
        }
    }

    fn give_back(&mut self, path: &Path) -> io::Result<()> {
        if self.spares.len() >= SPARES_MAX {
            return fs::remove_file(path);
        }
        let spare = path.with_extension(SPARE);
        fs::rename(path, &spare)?;
        self.spares.push(spare);
        Ok(())
    }

    /// First byte kept.
    pub fn start(&self) -> u64 {
        self.list.front().map_or(0, |s| s.start)
    }

    /// Offset after the last byte written.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Makes every write fail, as a full disk does.
    #[cfg(test)]
    pub fn fail_writes(&mut self, failing: bool) {
        self.failing = failing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_of_dropped_segments_are_written_over_and_what_was_in_them_is_never_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(dir.path()).unwrap();
        let old = vec![b'o'; SEGMENT_BYTES as usize + 1000];
        for _ in 0..4 {
            segments.append(&old).unwrap();
        }
        let start = 3 * old.len() as u64;
        segments.drop_below(start);
        assert_eq!(segments.start(), start);
        let spare = |names: &[String]| names.iter().filter(|n| n.ends_with(SPARE)).count();
        let kept = names(dir.path());
        assert_eq!((kept.len(), spare(&kept)), (1 + SPARES_MAX, SPARES_MAX), "{kept:?}");

        let at = segments.end();
        segments.append(b"new").unwrap();
        let reused = names(dir.path());
        assert_eq!(
            (reused.len(), spare(&reused)),
            (1 + SPARES_MAX, SPARES_MAX - 1),
            "{reused:?}"
        );
        let mut read = BytesMut::new();
        segments.read(at, 1 << 20, &mut read).unwrap();
        assert_eq!(&read[..], b"new");
        read.clear();
        segments.read(start, 10, &mut read).unwrap();
        assert_eq!(&read[..], b"oooooooooo", "the last of the old is as it was");
    }
}
