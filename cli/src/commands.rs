//! What a person can type.

pub(crate) mod act;
pub(crate) mod cluster;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod login;
pub(crate) mod playground;
pub(crate) mod render;
pub(crate) mod wait;
