//! Checks against real servers on loopback.
