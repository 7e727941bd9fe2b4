//! What guards the server, and others, from abuse; all sockets and transports share one.

/// Nothing is guarded by default.
#[derive(Debug, Default)]
pub struct Guard {}
