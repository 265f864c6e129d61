//! Integration tests of Ferrix.
