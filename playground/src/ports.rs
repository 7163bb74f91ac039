//! Ports for programs that must be told theirs before they start, or that come back to the same one.
//!
//! A port that the kernel picks and that is let go again belongs to nobody: any program's next connection may leave from it. So these come
//! from below the kernel's own range, and whoever takes one claims it until it ends.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Below what Linux gives to connections and to those who ask for any port (32768 and up), and above where services live.
const RANGE: Range<u16> = 12_000..32_000;

/// The UDP port of the same number, bound as long as this process lives, shows other processes of ours that a port is taken.
static CLAIMED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on and that nobody else is given while this process lives.
///
/// # Errors
/// When all of them are taken.
pub fn claim() -> io::Result<u16> {
    let length = RANGE.end - RANGE.start;
    // Processes begin at different places, so that few of them look at the same ports.
    let first = std::process::id().wrapping_mul(37) % u32::from(length);
    for step in 0..u32::from(length) {
        let offset = u16::try_from((first + step) % u32::from(length)).map_err(io::Error::other)?;
        let port = RANGE.start + offset;
        let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
            claimed.push(claim);
            return Ok(port);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("all ports from {} to {} are taken", RANGE.start, RANGE.end),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_only_while_nobody_listens() {
        let ports = [claim().unwrap(), claim().unwrap(), claim().unwrap()];
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
        for port in ports {
            assert!(RANGE.contains(&port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
