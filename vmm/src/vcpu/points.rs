//! Places that a debugger watches: the processor's debug registers (Intel SDM volume 3, chapter 18).

/// What stops a vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Executing the instruction there.
    Execute,
    /// Writing there.
    Write,
    /// Reading or writing there.
    ReadWrite,
}

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its virtual address.
    pub address: u64,
    /// Its bytes.
    pub length: u64,
    /// What stops a vCPU.
    pub access: Access,
}

/// DR0 to DR3, two that are not used, DR6 and DR7, as KVM takes them.
pub type DebugRegisters = [u64; 8];

const REGISTERS: usize = 4;
const DR7: usize = 7;

/// The debug registers that watch all of these, and which of the points each of the four is for; none if
/// four registers are too few.
pub fn registers(points: &[Point]) -> Option<(DebugRegisters, Vec<usize>)> {
    let (mut registers, mut owners) = ([0; 8], Vec::new());
    for (owner, point) in points.iter().enumerate() {
        for (address, length) in pieces(point) {
            let index = owners.len();
            if index == REGISTERS {
                return None;
            }
            registers[index] = address;
            registers[DR7] |= control(point.access, length) << (16 + 4 * index) | 2 << (2 * index);
            owners.push(owner);
        }
    }
    Some((registers, owners))
}

/// A register watches 1, 2, 4 or 8 bytes at a multiple of that.
fn pieces(point: &Point) -> Vec<(u64, u64)> {
    let (mut at, end) = (
        point.address,
        point.address.saturating_add(point.length.max(1)),
    );
    let mut pieces = Vec::new();
    while at < end && pieces.len() <= REGISTERS {
        let fits = |length: &u64| at % length == 0 && at.saturating_add(*length) <= end;
        let length = [8, 4, 2, 1].into_iter().find(fits).unwrap_or(1);
        pieces.push((at, length));
        at = at.saturating_add(length);
    }
    pieces
}

/// R/W and LEN of a register.
fn control(access: Access, length: u64) -> u64 {
    let length = match length {
        1 => 0,
        2 => 1,
        8 => 2,
        _ => 3,
    };
    match access {
        Access::Execute => 0,
        Access::Write => 1 | length << 2,
        Access::ReadWrite => 3 | length << 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(address: u64, length: u64, access: Access) -> Point {
        Point {
            address,
            length,
            access,
        }
    }

    #[test]
    fn registers_are_encoded() {
        let points = [
            point(0x1000, 1, Access::Execute),
            point(0x2000, 8, Access::Write),
            point(0x3004, 4, Access::ReadWrite),
        ];
        let (registers, owners) = registers(&points).unwrap();
        assert_eq!(registers[..4], [0x1000, 0x2000, 0x3004, 0]);
        // G0 to G2; R/W0 and LEN0 are 0; write, 8 bytes; access, 4 bytes.
        assert_eq!(registers[7], 0x2a | 0b1001 << 20 | 0b1111 << 24);
        assert_eq!(owners, [0, 1, 2]);
    }

    #[test]
    fn a_place_may_take_several_registers_and_four_is_all_there_is() {
        let odd = point(0x1003, 7, Access::Write);
        assert_eq!(pieces(&odd), [(0x1003, 1), (0x1004, 4), (0x1008, 2)]);
        assert_eq!(registers(&[odd]).unwrap().1, [0, 0, 0]);
        assert!(registers(&[odd, odd]).is_none());
        assert!(registers(&[point(0, 1 << 40, Access::Write)]).is_none());
        assert!(
            registers(&[point(u64::MAX, 8, Access::Write)]).is_some(),
            "the last byte"
        );
    }
}
