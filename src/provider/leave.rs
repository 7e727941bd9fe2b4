//! Leave to write: a batch may be many calls, and a freeze (invariant I15) is for all that are not
//! sent yet. So each call that changes something asks first.

use crate::plan::Failure;
use tokio::sync::watch;

/// Asked before each call that changes something.
#[derive(Clone, Debug)]
pub struct Leave(Option<watch::Receiver<Option<String>>>);

impl Leave {
    /// As long as nobody says why not.
    #[must_use]
    pub fn until(switch: watch::Receiver<Option<String>>) -> Self {
        Self(Some(switch))
    }

    /// Whatever happens.
    #[must_use]
    pub fn always() -> Self {
        Self(None)
    }

    /// Whether one more call may be sent.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        let reason = self.0.as_ref().and_then(|switch| switch.borrow().clone());
        reason.map_or(Ok(()), |reason| Err(Failure::Stopped(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_ends_the_moment_a_reason_is_given_and_comes_back() {
        let switch = watch::Sender::new(None);
        let leave = Leave::until(switch.subscribe());
        assert_eq!(leave.go_on(), Ok(()));
        switch.send_replace(Some("incident 7".to_owned()));
        assert_eq!(leave.go_on(), Err(Failure::Stopped("incident 7".to_owned())));
        assert_eq!(Leave::always().go_on(), Ok(()));
        switch.send_replace(None);
        assert_eq!(leave.go_on(), Ok(()));
    }
}
