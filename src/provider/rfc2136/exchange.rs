//! Messages over one TCP connection (RFC 1035 §4.2.2), signed, and their answers verified.

use crate::{plan::Failure, provider::Clock};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{TSigVerifier, TSigner, rdata::tsig::TsigError},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A server that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    stream: TcpStream,
    server: String,
    signer: Option<TSigner>,
    clock: Clock,
    verifier: Option<TSigVerifier>,
}

/// Why an exchange failed, and whether the message had left.
pub(super) struct Broken {
    sent: bool,
    text: String,
    denied: bool,
    /// It could not be said in one message.
    too_large: bool,
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken { denied: true, text, .. } => Self::Denied(text),
            Broken { too_large: true, text, .. } => Self::Rejected(text),
            Broken { sent: true, text, .. } => Self::Unknown(text),
            Broken { text, .. } => Self::Unavailable(text),
        }
    }
}

impl Connection {
    pub(super) async fn open(
        server: &str,
        signer: Option<TSigner>,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let connected = timeout(PATIENCE, TcpStream::connect(server)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Failure::Unavailable(format!("DNS server {server} (TCP): {error}")));
            }
            Err(_) => {
                let text = format!("DNS server {server} does not take TCP connections");
                return Err(Failure::Unavailable(text));
            }
        };
        Ok(Self { stream, server: server.to_owned(), signer, clock, verifier: None })
    }

    /// Sends a message and gives the first answer.
    pub(super) async fn ask(&mut self, message: Message) -> Result<Message, Broken> {
        self.send(message).await?;
        self.receive().await
    }

    async fn send(&mut self, mut message: Message) -> Result<(), Broken> {
        let broken = |text: String| Broken { sent: false, text, denied: false, too_large: true };
        if let Some(signer) = &self.signer {
            let now = u64::try_from((self.clock)().wall.as_second()).unwrap_or_default();
            let verifier = message.finalize(signer, now);
            self.verifier = verifier.map_err(|error| broken(format!("TSIG: {error}")))?;
        }
        let octets = message.to_vec().map_err(|error| broken(error.to_string()))?;
        let length = u16::try_from(octets.len());
        let length = length.map_err(|_| broken("the message is too long".to_owned()))?;
        let framed = [&length.to_be_bytes()[..], &octets].concat();
        let sent = timeout(PATIENCE, self.stream.write_all(&framed)).await;
        let lost = |text: String| Broken { sent: true, text, denied: false, too_large: false };
        sent.map_err(|_| lost(format!("{} takes nothing", self.server)))?
            .map_err(|error| lost(format!("{}: {error}", self.server)))
    }

    /// The next answer to what was sent.
    pub(super) async fn receive(&mut self) -> Result<Message, Broken> {
        let server = self.server.clone();
        let broken = |text: String| Broken {
            sent: true,
            text: format!("{server}: {text}"),
            denied: false,
            too_large: false,
        };
        let octets = match timeout(PATIENCE, frame(&mut self.stream)).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(error)) => return Err(broken(error.to_string())),
            Err(_) => return Err(broken("no answer".to_owned())),
        };
        let answer = Message::from_vec(&octets).map_err(|error| broken(error.to_string()))?;
        let Some(verifier) = &mut self.verifier else { return Ok(answer) };
        if let Some(text) = refused_signature(&answer) {
            return Err(Broken {
                sent: false,
                text: format!("{server}: {text}"),
                denied: true,
                too_large: false,
            });
        }
        match verifier.verify(&octets) {
            Ok(_) => Ok(answer),
            // Errors come unsigned where the server did not get as far as our key.
            Err(_)
                if answer.signature.is_none() && answer.response_code != ResponseCode::NoError =>
            {
                Ok(answer)
            }
            Err(error) => Err(broken(format!("the answer's signature is wrong: {error}"))),
        }
    }
}

/// What the server says of our signature (RFC 8945 §5.2).
fn refused_signature(answer: &Message) -> Option<String> {
    let tsig = &answer.signature.as_ref()?.data;
    let text = match tsig.error.as_ref()? {
        TsigError::BadSig => "the TSIG secret is not the server's (BADSIG)".to_owned(),
        TsigError::BadKey => "the server does not know a TSIG key of that name (BADKEY)".to_owned(),
        TsigError::BadTime => format!(
            "the clocks are more than {} s apart (TSIG BADTIME{}); set them by NTP",
            tsig.fudge,
            server_time(&tsig.other)
                .map_or(String::new(), |time| format!(", the server's is {time}"))
        ),
        TsigError::BadTrunc => "the server wants longer TSIG signatures (BADTRUNC)".to_owned(),
        other @ TsigError::Unknown(_) => format!("TSIG error {other:?}"),
    };
    Some(text)
}

/// With BADTIME, the server says its own time in 48 bits (RFC 8945 §5.2.3).
fn server_time(other: &[u8]) -> Option<jiff::Timestamp> {
    let octets: &[u8; 6] = other.first_chunk()?;
    let seconds = octets.iter().fold(0_i64, |all, octet| all << 8 | i64::from(*octet));
    jiff::Timestamp::from_second(seconds).ok()
}

async fn frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}
