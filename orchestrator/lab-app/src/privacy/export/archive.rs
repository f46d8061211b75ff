//! A ZIP that is written forward only, into a queue. What the library has written is handed on after each piece, so that nothing gathers.

use crate::AppError;
use bytes::Bytes;
use lab_core::port::ErrorKind;
use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;
use zip::{ZipWriter, result::ZipError, write::SimpleFileOptions, write::StreamWriter};

/// Bytes given to the library at once: it packs them in some milliseconds, and other tasks have their turn.
const PIECE_BYTES: usize = 256 * 1024;

/// What the library has written and nobody has taken.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().expect("no holder panics"))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See the module's doc.
pub(super) struct Archive {
    zip: ZipWriter<StreamWriter<Written>>,
    written: Written,
    out: mpsc::Sender<Bytes>,
}

impl Archive {
    pub fn new(out: mpsc::Sender<Bytes>) -> Self {
        let written = Written::default();
        Self {
            zip: ZipWriter::new_stream(written.clone()),
            written,
            out,
        }
    }

    /// Nobody reads any more.
    pub fn is_abandoned(&self) -> bool {
        self.out.is_closed()
    }

    /// A file whose contents are there.
    pub async fn file(&mut self, name: &str, contents: &[u8]) -> Result<(), AppError> {
        self.begin(name).await?;
        self.write(contents).await
    }

    /// The next file; what is written from here on is its contents.
    pub async fn begin(&mut self, name: &str) -> Result<(), AppError> {
        // a recording may have more than 4 GiB, and how much is known when it is written
        let options = SimpleFileOptions::default().large_file(true);
        self.zip.start_file(name, options).map_err(|e| broken(&e))?;
        self.hand_on().await
    }

    pub async fn write(&mut self, contents: &[u8]) -> Result<(), AppError> {
        for piece in contents.chunks(PIECE_BYTES) {
            self.zip.write_all(piece).map_err(|e| broken(&e.into()))?;
            self.hand_on().await?;
        }
        Ok(())
    }

    pub async fn finish(self) -> Result<(), AppError> {
        let Self { zip, written, out } = self;
        zip.finish().map_err(|e| broken(&e))?;
        send(&out, &written).await
    }

    async fn hand_on(&self) -> Result<(), AppError> {
        send(&self.out, &self.written).await
    }
}

async fn send(out: &mpsc::Sender<Bytes>, written: &Written) -> Result<(), AppError> {
    let bytes = written.take();
    if bytes.is_empty() {
        return Ok(());
    }
    let gone = |_| {
        AppError::refused(
            ErrorKind::Unavailable,
            "export-stopped",
            "nobody reads the archive any more",
        )
    };
    out.send(bytes.into()).await.map_err(gone)
}

/// Writing to memory does not fail: it is a bug of ours, like a name used twice.
fn broken(error: &ZipError) -> AppError {
    AppError::refused(
        ErrorKind::Bug,
        "export-broken",
        format!("the archive cannot be written: {error}"),
    )
}
