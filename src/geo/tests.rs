//! What a database must bear.
