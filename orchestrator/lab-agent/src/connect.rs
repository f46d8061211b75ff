//! `lab-agent connect`: stdin and stdout of a non-TTY exec become a connection to the agent.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::ExitCode,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, unix::AsyncFd},
    net::UnixStream,
};

/// Bytes moved at once: a quarter of a journal frame; larger gains nothing over a pipe of 64 KiB.
const CHUNK: usize = 64 * 1024;

/// Bridges until either side closes. The socket's end of file ends the bridge; stdin's end only closes that half, so
/// that what the agent still sends arrives.
pub fn run(dir: &Path) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail("runtime", &e),
    };
    let socket = dir.join(crate::wire::SOCKET);
    match runtime.block_on(bridge(&socket)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => fail(&socket.display().to_string(), &e),
    }
}

fn fail(what: &str, error: &io::Error) -> ExitCode {
    crate::log::line("error", "connect", &format!("{what}: {error}"));
    ExitCode::FAILURE
}

async fn bridge(socket: &Path) -> io::Result<()> {
    let (mut from_agent, mut to_agent) = UnixStream::connect(socket).await?.into_split();
    let input = Pipe::new(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = Pipe::new(io::stdout().as_fd().try_clone_to_owned()?)?;
    let up = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = input.read(&mut buffer).await?;
            if n == 0 {
                to_agent.shutdown().await?;
                return Ok::<(), io::Error>(());
            }
            to_agent.write_all(&buffer[..n]).await?;
        }
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = from_agent.read(&mut buffer).await?;
            if n == 0 {
                return Ok::<(), io::Error>(());
            }
            output.write_all(&buffer[..n]).await?;
        }
    };
    tokio::pin!(up, down);
    // stdin at its end: go on with `down` alone; the agent answers the closed half by closing its own
    tokio::select! {
        ended = &mut up => { ended?; down.await }
        ended = &mut down => ended,
    }
}

/// stdin or stdout, polled where the kernel can (pipes, sockets, terminals), else read and written as it comes (files).
struct Pipe {
    polled: Result<AsyncFd<OwnedFd>, OwnedFd>,
}

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let copy = fd.try_clone()?;
        match crate::sys::polled(copy) {
            Ok(polled) => {
                crate::sys::nonblocking(fd.as_fd())?;
                Ok(Self { polled: Ok(polled) })
            }
            // regular files and /dev/null are always ready, and epoll refuses them
            Err(_) => Ok(Self { polled: Err(fd) }),
        }
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.polled {
            Ok(fd) => {
                fd.async_io(tokio::io::Interest::READABLE, |fd| Ok(nix::unistd::read(fd, buffer)?))
                    .await
            }
            Err(fd) => Ok(nix::unistd::read(fd, buffer)?),
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = match &self.polled {
                Ok(fd) => {
                    fd.async_io(tokio::io::Interest::WRITABLE, |fd| Ok(nix::unistd::write(fd, bytes)?))
                        .await?
                }
                Err(fd) => nix::unistd::write(fd, bytes)?,
            };
            bytes = &bytes[n..];
        }
        Ok(())
    }
}
