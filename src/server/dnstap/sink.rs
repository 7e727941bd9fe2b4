//! Where frames go: a reader at a socket, connected to again whenever it goes, or a file.

use super::{
    Bundle, Tap,
    frames::{Control, MOST},
};
use std::{
    fmt,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt},
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

/// A whole stream to a file, up to where it is to be opened anew. Only what keeps the file from
/// being begun is an error: what is in it stays, whatever happens behind it.
async fn record(
    tap: &Tap,
    path: &Path,
    coming: &mut Receiver<Bundle>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    set_aside(path).await?;
    let mut options = File::options();
    // It says who asked for what: nobody else's business.
    let file = options.write(true).create_new(true).mode(0o600).open(path).await?;
    let mut log = Log { file, whole: 0, is_torn: false };
    log.add(&Control::Start.frame()).await?;
    tap.open.store(true, Relaxed);
    loop {
        tokio::select! {
            biased;
            () = tap.reopen.notified() => break,
            bundle = coming.recv() => log.take(tap, bundle).await,
            () = quiet(shutdown) => break,
        }
    }
    log.add(&Control::Stop.frame()).await
}

/// A stream begins with a file, so what is there is kept beside it.
async fn set_aside(path: &Path) -> io::Result<()> {
    match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if !found.is_file() => {
            let text = "it is there, and no regular file, so it is left alone";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        found => found.map(drop)?,
    }
    let mut previous = path.as_os_str().to_owned();
    previous.push(".previous");
    tokio::fs::rename(path, previous).await
}

/// A file that ends with a whole frame, or will again before the next.
struct Log {
    file: File,
    /// Octets of whole frames.
    whole: u64,
    /// Whether there may be a part of one behind them.
    is_torn: bool,
}

impl Log {
    async fn take(&mut self, tap: &Tap, bundle: Option<Bundle>) {
        // None comes only where the tap is gone, which calls this.
        let Some(bundle) = bundle else { return };
        let was_torn = self.is_torn;
        let added = self.add(&bundle.octets).await;
        tap.took(&bundle, added.is_ok());
        match added {
            Err(error) if !was_torn => tracing::warn!(
                "dnstap to {}: {error}; what was recorded stands, what comes is counted as dropped \
                 until it can be written",
                tap.target
            ),
            Ok(()) if was_torn => tracing::info!("dnstap to {} goes on", tap.target),
            _ => {}
        }
    }

    /// Adds all of it or nothing.
    async fn add(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.whole).await?;
            self.file.seek(SeekFrom::Start(self.whole)).await?;
        }
        self.is_torn = true;
        write(&mut self.file, octets).await?;
        self.whole += u64::try_from(octets.len()).unwrap_or_default();
        self.is_torn = false;
        Ok(())
    }
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
    let written = write(to, &bundle.octets).await;
    tap.took(&bundle, written.is_ok());
    written
}

/// Writes it through: what a file only keeps in memory is not written.
async fn write(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    let through = async {
        to.write_all(octets).await?;
        to.flush().await
    };
    timeout(PATIENCE, through).await.unwrap_or_else(|_| Err(slow()))
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

    #[tokio::test]
    async fn a_file_ends_with_a_whole_frame_after_a_write_that_failed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("tap");
        let file = File::create(&path).await.unwrap();
        let mut log = Log { file, whole: 0, is_torn: false };
        log.add(b"first").await.unwrap();
        // As a full disk leaves it.
        log.file.write_all(b"hal").await.unwrap();
        log.file.flush().await.unwrap();
        log.is_torn = true;
        log.add(b"second").await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"firstsecond");
        log.file = File::open(&path).await.unwrap();
        assert!(log.add(b"third").await.is_err(), "it is open for reading alone");
        assert!(log.is_torn && log.whole == 11);
    }

    #[tokio::test]
    async fn only_a_regular_file_is_set_aside() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("tap");
        set_aside(&path).await.unwrap();
        std::fs::write(&path, "old").unwrap();
        set_aside(&path).await.unwrap();
        assert_eq!(std::fs::read(place.path().join("tap.previous")).unwrap(), b"old");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(set_aside(&path).await.unwrap_err().to_string().contains("no regular file"));
    }
}
