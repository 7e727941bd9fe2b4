//! Reads a zone from its primary: its SOA first, then what changed (RFC 1995) or all of it
//! (RFC 5936), over one connection, signed where a key is shared.

use super::connect::{Connection, open};
use crate::{
    model::{Name, Serial},
    records::{RecordType, Zone},
    transfer::{
        Checker, Clock, Expire, Head, Incoming, Key, Packer, Primary, Progress, Record, Rows,
        Unusable, append_opt, read_response,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// A primary that says nothing for so long is not there.
const PATIENCE: Duration = Duration::from_secs(10);
/// A transfer that takes longer is not worth its place.
const MOST: Duration = Duration::from_secs(600);
const IXFR: u16 = 251;
const AXFR: u16 = 252;
const FORMERR: u8 = 1;
const NOTAUTH: u8 = 9;

/// What the primary gave.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// We are in step; the numbers of the primary's SOA, and the seconds for which the primary
    /// itself may use the zone yet, where it says so (RFC 7314).
    Current([u32; 5], Option<u32>),
    /// A newer zone, or the first; and the same.
    Newer(Zone, Option<u32>),
}

/// Asks the primary for its zone; `have` is what was had of it before.
///
/// # Errors
/// What failed, for people; nothing of an unfinished transfer is used.
pub async fn fetch(
    primary: &Primary,
    key: Option<&Arc<Key>>,
    apex: &Name,
    have: Option<&Arc<Zone>>,
    clock: Clock,
) -> Result<Fetched, String> {
    let told = |error: String| format!("{}: {error}", primary.address);
    let mut ask = Ask { primary, key, apex, clock, edns: true };
    let mut tried = timeout(MOST, ask.differences(have)).await;
    if let Ok(Err(Failed::Edns)) = tried {
        ask.edns = false;
        tried = timeout(MOST, ask.differences(have)).await;
    }
    match tried {
        Ok(Ok(fetched)) => Ok(fetched),
        Ok(Err(Failed::Whole(_))) => {
            let whole = timeout(MOST, ask.whole()).await;
            let whole = whole.unwrap_or_else(|_| Err(Failed::Other(too_long())));
            whole.map_err(|failed| told(failed.text()))
        }
        Ok(Err(failed)) => Err(told(failed.text())),
        Err(_) => Err(told(too_long())),
    }
}

fn too_long() -> String {
    format!("the transfer takes longer than {} s", MOST.as_secs())
}

enum Failed {
    /// The zone is to be asked for whole.
    Whole(String),
    /// It may not know EDNS, and is to be asked without (RFC 6891 §7).
    Edns,
    Other(String),
}

impl Failed {
    fn text(self) -> String {
        match self {
            Self::Whole(text) | Self::Other(text) => text,
            Self::Edns => format!("answers {} to all requests", rcode(FORMERR)),
        }
    }
}

struct Ask<'a> {
    primary: &'a Primary,
    key: Option<&'a Arc<Key>>,
    apex: &'a Name,
    clock: Clock,
    edns: bool,
}

impl Ask<'_> {
    async fn differences(&self, have: Option<&Arc<Zone>>) -> Result<Fetched, Failed> {
        let mut connection = self.open().await?;
        let (soa, left) = self.soa(&mut connection).await?;
        let numbers = soa.soa_numbers().unwrap_or_default();
        let Some(have) = have else {
            return self.read(&mut connection, AXFR, None, left).await;
        };
        if !Serial(numbers[0]).is_after(have.serial()) {
            return Ok(Fetched::Current(numbers, left));
        }
        self.read(&mut connection, IXFR, Some(have), left).await
    }

    async fn whole(&self) -> Result<Fetched, Failed> {
        let mut connection = self.open().await?;
        self.read(&mut connection, AXFR, None, None).await
    }

    async fn open(&self) -> Result<Connection, Failed> {
        open(self.primary, PATIENCE).await.map_err(Failed::Other)
    }

    /// The primary's SOA, and the seconds for which it may use the zone yet.
    async fn soa(&self, stream: &mut Connection) -> Result<(Record, Option<u32>), Failed> {
        let (id, mut checker) = self.send(stream, RecordType::SOA.0, None).await?;
        let rows = self.receive(stream, id, checker.as_mut()).await?;
        if rows.rcode == FORMERR && self.edns {
            return Err(Failed::Edns);
        }
        self.judge(&rows)?;
        let left = rows.expire.left();
        let own = |record: &Record| record.owner == *self.apex && record.soa_numbers().is_some();
        let soa = rows.answer.into_iter().find(own);
        let none = || Failed::Other(format!("has no SOA of {}: it does not serve it", self.apex));
        soa.map(|soa| (soa, left)).ok_or_else(none)
    }

    async fn read(
        &self,
        stream: &mut Connection,
        rtype: u16,
        have: Option<&Arc<Zone>>,
        mut left: Option<u32>,
    ) -> Result<Fetched, Failed> {
        let (id, mut checker) = self.send(stream, rtype, have).await?;
        let mut incoming = Incoming::new(self.apex.clone(), have.cloned());
        loop {
            let rows = self.receive(stream, id, checker.as_mut()).await?;
            if rows.rcode != 0 && rtype == IXFR {
                // RFC 1995 §5 leaves it to servers whether they know IXFR.
                return Err(Failed::Whole(format!("answers {} to IXFR", rcode(rows.rcode))));
            }
            self.judge(&rows)?;
            left = rows.expire.left().or(left);
            let progress = incoming.take(rows.answer).map_err(|unusable| match unusable {
                Unusable::Misfit(_) => Failed::Whole(unusable.to_string()),
                Unusable::Broken(text) => Failed::Other(text),
            })?;
            let settled = checker.as_ref().is_none_or(Checker::is_settled);
            match progress {
                Progress::More => {}
                _ if !settled => {
                    return Err(Failed::Other("the transfer's last message is unsigned".into()));
                }
                Progress::Current => {
                    return Err(Failed::Other("its SOA is newer than its transfer".to_owned()));
                }
                Progress::Whole(zone) => return Ok(Fetched::Newer(zone, left)),
            }
        }
    }

    fn judge(&self, rows: &Rows) -> Result<(), Failed> {
        let hint = match rows.rcode {
            0 if rows.truncated => "cuts its answer short over TCP".to_owned(),
            0 => return Ok(()),
            NOTAUTH if self.key.is_some() => {
                "does not serve the zone, or does not take our TSIG key (NOTAUTH)".to_owned()
            }
            5 => "refuses (REFUSED); allow transfers of the zone to our key or address".to_owned(),
            other => format!("answers {}", rcode(other)),
        };
        Err(Failed::Other(hint))
    }

    async fn send(
        &self,
        stream: &mut Connection,
        rtype: u16,
        have: Option<&Arc<Zone>>,
    ) -> Result<([u8; 2], Option<Checker>), Failed> {
        let id = fastrand::u16(..).to_be_bytes();
        let mut message = query(id, self.apex, rtype);
        if let Some(soa) = have.and_then(|own| Record::soa(own)) {
            append_authority(&mut message, &soa);
        }
        if self.edns {
            append_opt(&mut message, Expire::Asked);
        }
        let key = self.key.cloned();
        let checker = key.map(|key| Checker::sign(key, &mut message, (self.clock)()));
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
        let framed = [&length[..], &message].concat();
        let lost = |text: String| Failed::Other(text);
        let sent = async {
            stream.write_all(&framed).await?;
            stream.flush().await
        };
        match timeout(PATIENCE, sent).await {
            Ok(Ok(())) => Ok((id, checker)),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Err(_) => Err(lost("takes nothing".to_owned())),
        }
    }

    async fn receive(
        &self,
        stream: &mut Connection,
        id: [u8; 2],
        checker: Option<&mut Checker>,
    ) -> Result<Rows, Failed> {
        let other = |text: String| Failed::Other(text);
        let packet = match timeout(PATIENCE, frame(stream)).await {
            Ok(Ok(packet)) => packet,
            Ok(Err(error)) => return Err(other(format!("breaks off: {error}"))),
            Err(_) => return Err(other("does not answer".to_owned())),
        };
        let rows = read_response(&packet);
        let rows = rows.map_err(|error| other(format!("its answer cannot be read: {error}")))?;
        if rows.id != id || rows.opcode != 0 {
            return Err(other("answers something else".to_owned()));
        }
        let Some(checker) = checker else { return Ok(rows) };
        match checker.check(&packet, rows.tsig, (self.clock)()) {
            Ok(()) => Ok(rows),
            // Errors come unsigned where the server did not get as far as our key.
            Err(_) if rows.tsig.is_none() && rows.rcode != 0 => Ok(rows),
            Err(error) => Err(other(format!("its answer is not taken: {error}"))),
        }
    }
}

fn rcode(number: u8) -> String {
    match number {
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        9 => "NOTAUTH".to_owned(),
        other => format!("response code {other}"),
    }
}

/// A query of class IN.
fn query(id: [u8; 2], name: &Name, rtype: u16) -> Vec<u8> {
    let question = [name.as_wire(), &rtype.to_be_bytes(), &[0, 1]].concat();
    let mut message = Packer::begin(&Head { id, question, ..Head::default() }, 65_535).finish();
    message[2] &= 0x7f;
    message
}

/// RFC 1995 §3: the version that we have, without compression.
fn append_authority(message: &mut Vec<u8>, soa: &Record) {
    message[9] = 1;
    message.extend_from_slice(soa.owner.as_wire());
    message.extend_from_slice(&[0, 6, 0, 1]);
    message.extend_from_slice(&soa.ttl.as_secs().to_be_bytes());
    let length = u16::try_from(soa.data.len()).unwrap_or(u16::MAX);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(&soa.data);
}

async fn frame(stream: &mut Connection) -> std::io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}
