//! Raises the loopback interface, which a new kernel leaves down: one rtnetlink message.

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SendFlags, SocketType, send, socket};

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const IFF_UP: u32 = 1;
/// The kernel gives `lo` the first index.
const LOOPBACK: i32 = 1;

/// As `ip link set lo up`.
pub fn raise_loopback() -> Result<()> {
    // No protocol is `NETLINK_ROUTE`.
    let route = socket(AddressFamily::NETLINK, SocketType::RAW, None);
    let route = route.context("opening a netlink socket")?;
    send(&route, &link_up(LOOPBACK), SendFlags::empty()).context("raising the loopback")?;
    Ok(())
}

/// `struct nlmsghdr` and `struct ifinfomsg` (rtnetlink(7)).
fn link_up(index: i32) -> [u8; 32] {
    let mut message = [0; 32];
    message[0..4].copy_from_slice(&32_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    message[20..24].copy_from_slice(&index.to_ne_bytes());
    message[24..28].copy_from_slice(&IFF_UP.to_ne_bytes());
    message[28..32].copy_from_slice(&IFF_UP.to_ne_bytes());
    message
}
