//! Where frames go: a reader at a socket, connected to again whenever it goes, or a file.

use super::{
    Bundle, Tap,
    frames::{Control, MOST},
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Where frames go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A reader at a Unix socket.
    Unix(PathBuf),
    /// A reader at a host and port.
    Tcp(String),
    /// A file.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            Err(format!(
                "{text:?} is not a target of dnstap; unix:PATH, tcp:HOST:PORT or file:PATH is expected"
            ))
        };
        match text.split_once(':') {
            Some((_, "")) => wrong(),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("tcp", place)) => match place.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(place.to_owned()))
                }
                _ => wrong(),
            },
            _ => wrong(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp:{place}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// Writes what comes, until shut down; then what waits still.
pub(in crate::server) async fn run(tap: Arc<Tap>, shutdown: CancellationToken) {
    let Some(mut coming) = tap.take_coming() else { return };
    let (mut pause, mut told) = (FIRST_PAUSE, false);
    while !shutdown.is_cancelled() {
        let began = tap.written.load(Relaxed);
        let ended = match &tap.target {
            Target::Unix(path) => match timeout(PATIENCE, UnixStream::connect(path)).await {
                Ok(Ok(reader)) => speak(&tap, reader, &mut coming, &shutdown).await,
                failed => failed.unwrap_or_else(|_| Err(slow())).map(drop),
            },
            Target::Tcp(place) => match timeout(PATIENCE, TcpStream::connect(place)).await {
                Ok(Ok(reader)) => speak(&tap, reader, &mut coming, &shutdown).await,
                failed => failed.unwrap_or_else(|_| Err(slow())).map(drop),
            },
            Target::File(path) => record(&tap, path, &mut coming, &shutdown).await,
        };
        tap.open.store(false, Relaxed);
        let took_some = tap.written.load(Relaxed) > began;
        if took_some {
            (pause, told) = (FIRST_PAUSE, false);
        }
        let Err(error) = ended else { continue };
        if !told {
            tracing::warn!(
                "dnstap to {}: {error}; it is tried again, and what is not taken is counted",
                tap.target
            );
            told = true;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// A whole stream to a reader, which is asked first whether it takes it.
async fn speak(
    tap: &Tap,
    mut reader: impl AsyncRead + AsyncWrite + Unpin,
    coming: &mut Receiver<Bundle>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    write(&mut reader, &Control::Ready.frame()).await?;
    hear(&mut reader, Control::Accept).await?;
    write(&mut reader, &Control::Start.frame()).await?;
    tap.open.store(true, Relaxed);
    tracing::info!("dnstap goes to {}", tap.target);
    loop {
        tokio::select! {
            biased;
            bundle = coming.recv() => put(tap, &mut reader, bundle).await?,
            () = quiet(shutdown) => break,
        }
    }
    write(&mut reader, &Control::Stop.frame()).await?;
    hear(&mut reader, Control::Finish).await
}

/// A whole stream to a file, up to where it is to be opened anew.
async fn record(
    tap: &Tap,
    path: &Path,
    coming: &mut Receiver<Bundle>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    // A stream begins with a file, so what is there is kept beside it.
    let mut previous = path.as_os_str().to_owned();
    previous.push(".previous");
    match tokio::fs::rename(path, previous).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    // It says who asked for what: nobody else's business.
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).await?;
    file.write_all(&Control::Start.frame()).await?;
    file.flush().await?;
    tap.open.store(true, Relaxed);
    loop {
        tokio::select! {
            biased;
            bundle = coming.recv() => {
                put(tap, &mut file, bundle).await?;
                file.flush().await?;
            }
            () = quiet(shutdown) => break,
            () = tap.reopen.notified() => break,
        }
    }
    file.write_all(&Control::Stop.frame()).await?;
    file.flush().await
}

/// Ends when the server is shut down and a last batch would have come.
async fn quiet(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    sleep(LAST_BATCH).await;
}

async fn put(
    tap: &Tap,
    to: &mut (impl AsyncWrite + Unpin),
    bundle: Option<Bundle>,
) -> io::Result<()> {
    // None comes only where the tap is gone, which calls this.
    let Some(bundle) = bundle else { return Ok(()) };
    tap.waiting.fetch_sub(bundle.octets.len(), Relaxed);
    let written = write(to, &bundle.octets).await;
    let counted = if written.is_ok() { &tap.written } else { &tap.dropped };
    counted.fetch_add(bundle.frames, Relaxed);
    written
}

async fn write(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, to.write_all(octets)).await.unwrap_or_else(|_| Err(slow()))
}

/// The control frame that must come now.
async fn hear(from: &mut (impl AsyncRead + Unpin), control: Control) -> io::Result<()> {
    let heard = async {
        let (escape, length) = (from.read_u32().await?, from.read_u32().await?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if escape != 0 || length > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it speaks no Frame Streams"));
        }
        let mut frame = vec![0; length];
        from.read_exact(&mut frame).await?;
        control.expect(&frame)
    };
    timeout(PATIENCE, heard).await.unwrap_or_else(|_| Err(slow()))
}

fn slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("nothing for {PATIENCE:?}"))
}

/// How long a reader may take over one step.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after the end a thread of the server may notice it.
const LAST_BATCH: Duration = Duration::from_millis(150);
/// How long after a failure it is tried again; longer each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["unix:/run/dnstap.sock", "tcp:[::1]:6000", "tcp:host:6000", "file:/a:b"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for wrong in ["", "/run/x", "unix:", "file:", "tcp:host", "tcp::1", "tcp:host:x", "udp:a:1"]
        {
            assert!(wrong.parse::<Target>().unwrap_err().contains("is expected"), "{wrong}");
        }
    }
}
