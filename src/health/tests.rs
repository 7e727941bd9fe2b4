//! The rules of verdicts, one by one.
