//! Exceptions of user programs.
