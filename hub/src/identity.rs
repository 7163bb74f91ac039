//! Who is who: the hub's certificate authority, one-time tokens, and what a peer's certificate says.

mod authority;
mod scope;
mod tls;
mod token;

pub(crate) use authority::{Authority, AuthorityError, Issued, SERVER_LIFE};
pub(crate) use scope::{ClusterScope, ScopeError, uid_of};
pub(crate) use tls::{ServerIdentity, server_config};
pub(crate) use token::{TOKEN_LIFE_MS, new_token, parse as parse_token};
