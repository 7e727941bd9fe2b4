//! What only Azure can do to a writer.
