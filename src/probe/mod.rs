//! Checks endpoints over the network, on a schedule, and tells the outcomes. Decides nothing.
