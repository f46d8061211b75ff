//! The journal on disk: files of about 1 MiB, each named by the offset of its first byte, each starting at a record's
//! start. No fsync: a killed agent loses nothing that it wrote, and a dead machine takes the sandbox with it; what must
//! outlive the machine is the recorder's.

use bytes::BytesMut;
use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

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
            let path = self.path(self.end);
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)?;
            self.file = Some(file);
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
            if let Err(error) = fs::remove_file(&path) {
                crate::log::line("warn", "journal-drop", &format!("{}: {error}", path.display()));
            }
            self.list.pop_front();
        }
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
