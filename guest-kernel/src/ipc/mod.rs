//! Message passing.
