//! The stream to an agent: standard input and output of `lab-agent connect`, run in the container.
//!
//! The exec has no TTY, so the engine sends frames (`type 0 0 0 length:u32`) and never bare bytes. bollard 0.21 takes a TTY's
//! bare bytes for frames when they begin with 0, 1 or 2, and loses them; here what is not in a frame is an error instead.

use bollard::{container::LogOutput, errors::Error};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Kept of what `connect` says on its standard error: the reason why there is no agent, one line.
const STDERR_BYTES_MAX: usize = 4096;

/// Bytes taken from the engine's socket at once. It sends frames of at most 32 KiB; several per read halve the system calls.
pub(crate) const READ_BYTES: usize = 256 * 1024;

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

/// Dropping it closes the connection to the engine, whereupon `connect` reads the end of its input and exits.
pub(crate) struct ExecStream {
    output: Output,
    input: Input,
    /// Read, and not yet asked for.
    chunk: Bytes,
    stderr: Vec<u8>,
    ended: bool,
}

impl ExecStream {
    pub fn new(output: Output, input: Input) -> Self {
        Self {
            output,
            input,
            chunk: Bytes::new(),
            stderr: Vec::new(),
            ended: false,
        }
    }

    /// The end: an error when `connect` said why, once; then plainly the end.
    fn end(&mut self) -> io::Result<usize> {
        self.ended = true;
        let said = std::mem::take(&mut self.stderr);
        if said.is_empty() {
            return Ok(0);
        }
        let said = String::from_utf8_lossy(&said);
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, said.trim().to_owned()))
    }

    fn hear(&mut self, said: &[u8]) {
        let room = STDERR_BYTES_MAX - self.stderr.len();
        self.stderr.extend_from_slice(&said[..said.len().min(room)]);
    }
}

impl AsyncRead for ExecStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        while this.chunk.is_empty() {
            if this.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(this.output.as_mut().poll_next(cx)) {
                Some(Ok(LogOutput::StdOut { message })) => this.chunk = message,
                Some(Ok(LogOutput::StdErr { message })) => this.hear(&message),
                Some(Ok(other)) => {
                    this.ended = true;
                    let bare = other.into_bytes();
                    let text = String::from_utf8_lossy(&bare[..bare.len().min(200)]).into_owned();
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("the engine sent what is no frame of output: {text:?}"),
                    )));
                }
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Err(io::Error::other(error)));
                }
                None => return Poll::Ready(this.end()),
            }
        }
        let n = this.chunk.len().min(buf.len());
        this.chunk.copy_to_slice(&mut buf[..n]);
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for ExecStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{AsyncReadExt, stream};

    fn exec(output: Vec<LogOutput>) -> ExecStream {
        ExecStream::new(
            Box::pin(stream::iter(output.into_iter().map(Ok))),
            Box::pin(tokio::io::sink()),
        )
    }

    #[tokio::test]
    async fn what_connect_says_on_stderr_is_the_error_at_the_end() {
        let mut s = exec(vec![
            LogOutput::StdOut {
                message: Bytes::from_static(b"\x01\x02"),
            },
            LogOutput::StdErr {
                message: Bytes::from_static(b"no such socket\n"),
            },
        ]);
        let mut seen = Vec::new();
        let error = s.read_to_end(&mut seen).await.unwrap_err();
        assert_eq!(
            (seen.as_slice(), error.to_string().as_str()),
            (b"\x01\x02".as_slice(), "no such socket")
        );
        assert_eq!(s.read(&mut [0]).await.unwrap(), 0, "then it is over");
    }

    #[tokio::test]
    async fn endless_stderr_is_not_kept() {
        let line = LogOutput::StdErr {
            message: Bytes::from(vec![b'x'; 3000]),
        };
        let mut s = exec(vec![line; 100]);
        let error = s.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.to_string().len(), STDERR_BYTES_MAX);
    }

    #[tokio::test]
    async fn bytes_outside_frames_are_an_error_and_never_data() {
        let mut s = exec(vec![LogOutput::Console {
            message: Bytes::from_static(b"OCI runtime exec failed"),
        }]);
        let error = s.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("OCI runtime exec failed"));
    }
}
