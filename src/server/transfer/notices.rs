//! Answers notices of zones that live elsewhere (RFC 1996), and hands on those that are heeded.

use super::{CLASS_IN, FORMERR, NOERROR, NOTAUTH, REFUSED, SOA, Transfers, admitted, plain};
use crate::{
    model::{Name, Serial},
    server::respond::{Arrival, Reply},
    transfer::{Event, Request, Signer},
};

/// A notice that came from where notices are heeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// The zone that may have changed.
    pub zone: Name,
    /// Its serial, where the notice says it (RFC 1996 §3.7).
    pub serial: Option<Serial>,
}

impl Transfers {
    /// Answers a notice, and heeds it if it is answered: one that the limiter holds back comes again.
    pub(super) fn answer_notice(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let (rcode, said) = self.notice(request, signer, arrival);
        let reply = admitted(request, rcode, arrival, out, |out| plain(request, rcode, out));
        let answered = matches!(reply, Reply::Send { .. });
        self.stats.count(Event::NoticeIn(if answered { said } else { "limited" }));
        if let (NOERROR, true, Some(notices)) = (rcode, answered, &self.notices) {
            let notice = Notice { zone: request.name.clone(), serial: request.serial };
            // A full channel holds notices enough.
            let _ = notices.try_send(notice);
        }
        reply
    }

    /// RFC 1996 §3.10, §3.11: who is not known is refused, everyone else gets an answer at once. The
    /// response code, and what it is counted as.
    fn notice(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        arrival: &Arrival<'_>,
    ) -> (u8, &'static str) {
        let rules = self.rules.load();
        let primary = rules.zones.get(&request.name.key()).and_then(|own| own.primary.as_ref());
        let key = signer.and_then(Signer::key);
        if request.class != CLASS_IN || request.rtype.0 != SOA {
            (FORMERR, "malformed")
        } else if primary.is_none() {
            (NOTAUTH, "zone")
        } else if !rules.may_notify(&request.name, key, arrival.from) {
            (REFUSED, "source")
        } else {
            (NOERROR, "heeded")
        }
    }
}
