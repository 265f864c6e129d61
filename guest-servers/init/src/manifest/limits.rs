//! `limit=NAME:SOFT[:HARD]`: what a server or the first program may use.

use alloc::format;
use alloc::string::String;
use ferrix_abi::limit::{FILES_MAX, HANDLES_MAX, INFINITY, Limit, Resource};

/// The names of the resources: those of `prlimit(1)`, and Ferrix's own.
const NAMES: [(&str, Resource); 17] = [
    ("as", Resource::AddressSpace),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::FileSize),
    ("handles", Resource::Handles),
    ("locks", Resource::FileLocks),
    ("memlock", Resource::Locked),
    ("msgqueue", Resource::MessageQueues),
    ("nice", Resource::Nice),
    ("nofile", Resource::Files),
    ("nproc", Resource::Processes),
    ("rss", Resource::Resident),
    ("rtprio", Resource::RealtimePriority),
    ("rttime", Resource::RealtimeTime),
    ("sigpending", Resource::PendingSignals),
    ("stack", Resource::Stack),
];

/// Reads `NAME:SOFT[:HARD]`; without a hard limit it is the soft one.
pub fn parse(text: &str) -> Result<(Resource, Limit), String> {
    let wrong = |what: &str| format!("limit `{text}`: {what}");
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let resource = NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| wrong(&format!("`{name}` is none of {}", known())))?
        .1;
    let soft = parts
        .next()
        .ok_or_else(|| wrong("expected NAME:SOFT[:HARD]"))?;
    let soft = value(soft).map_err(|what| wrong(&what))?;
    let hard = match parts.next() {
        Some(hard) => value(hard).map_err(|what| wrong(&what))?,
        None => soft,
    };
    if parts.next().is_some() {
        return Err(wrong("expected NAME:SOFT[:HARD]"));
    }
    if soft > hard {
        return Err(wrong("the soft limit is above the hard one"));
    }
    let most = match resource {
        Resource::Files => FILES_MAX,
        Resource::Handles => HANDLES_MAX,
        _ => INFINITY,
    };
    if hard > most {
        return Err(wrong(&format!("there can be {most} at most")));
    }
    Ok((resource, Limit { soft, hard }))
}

fn known() -> String {
    let names: alloc::vec::Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A number, perhaps with K, M or G for powers of 1024, or `unlimited`.
fn value(text: &str) -> Result<u64, String> {
    if text == "unlimited" {
        return Ok(INFINITY);
    }
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| {
            format!("`{text}` is no number with K, M, G or nothing behind it, nor `unlimited`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_and_units() {
        let both = |value| Limit::both(value);
        assert_eq!(parse("nproc:100"), Ok((Resource::Processes, both(100))));
        assert_eq!(
            parse("memlock:64K:1M"),
            Ok((
                Resource::Locked,
                Limit {
                    soft: 64 << 10,
                    hard: 1 << 20
                }
            ))
        );
        assert_eq!(
            parse("as:2G:unlimited"),
            Ok((
                Resource::AddressSpace,
                Limit {
                    soft: 2 << 30,
                    hard: INFINITY
                }
            ))
        );
    }

    #[test]
    fn every_resource_has_a_name() {
        for (index, (name, resource)) in NAMES.iter().enumerate() {
            assert_eq!(
                parse(&format!("{name}:1")).map(|(found, _)| found),
                Ok(*resource)
            );
            assert!(NAMES[..index].iter().all(|(_, other)| other != resource));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let refused = |text, part: &str| {
            let message = parse(text).unwrap_err();
            assert!(
                message.contains(part) && message.contains(text),
                "{message}"
            );
        };
        refused("memory:1", "`memory` is none of as, core");
        refused("nproc", "NAME:SOFT");
        refused("nproc:1:2:3", "NAME:SOFT");
        refused("nproc:many", "`many` is no number");
        refused("as:-1", "`-1` is no number");
        refused("as:17179869184G", "is no number");
        refused("as:2M:1M", "above the hard one");
        refused("nofile:2000", "1024 at most");
        refused("handles:10:unlimited", "4096 at most");
    }
}
