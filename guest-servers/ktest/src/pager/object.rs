//! A paged object and its pager's side of it.

use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::ipc::{Kind, Tag};
use ferrix_abi::layout::PAGE_SIZE;
use ferrix_abi::vm::{MapFlags, Prot};
use ferrix_rt::sys::ipc::{self, Received};
use ferrix_rt::sys::memory::{self, Mapping, map_anywhere};

use crate::support::*;

pub const RW: Prot = Prot::READ.union(Prot::WRITE);
/// The badge of the requests.
pub const BADGE: u32 = 77;

/// What a page holds when it is supplied.
pub fn content(page: u64) -> u64 {
    1000 + page
}

/// A paged object of this process.
#[derive(Clone, Copy)]
pub struct Paged {
    pub port: Handle,
    pub object: Handle,
    pub pages: u64,
    /// The pager's own view.
    pub view: Pages,
}

/// A request, as its pager receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub pid: u32,
    pub page: u64,
    pub count: u64,
    pub access: u64,
}

impl Paged {
    /// An object of so many pages.
    pub fn new(pages: u64) -> Result<Paged, Failure> {
        Self::with_timeout(pages, 0)
    }

    /// The same whose clients wait only so long.
    pub fn with_timeout(pages: u64, timeout_ns: u64) -> Result<Paged, Failure> {
        let port = ipc::port_create()?;
        let object = memory::paged_create(port, BADGE, pages * PAGE_SIZE, timeout_ns)?;
        // Its children would be users.
        let view = map(object, pages, RW, MapFlags::INHERIT_NONE)?;
        Ok(Paged {
            port,
            object,
            pages,
            view,
        })
    }

    /// A mapping of all of it.
    pub fn map(&self, prot: Prot, flags: MapFlags) -> Result<Pages, Failure> {
        map(self.object, self.pages, prot, flags)
    }

    /// A shared mapping for reading and writing.
    pub fn share(&self) -> Result<Pages, Failure> {
        self.map(RW, MapFlags::empty())
    }

    /// Supplies pages with their content; how many were absent.
    pub fn supply(&self, first: u64, count: u64) -> Result<u64, Failure> {
        let source = Pages::new(count)?;
        (0..count).for_each(|page| source.write(page, content(first + page)));
        let supplied = supply(self.object, first, source)?;
        source.unmap()?;
        Ok(supplied)
    }

    /// The next request.
    pub fn request(&self) -> Result<Request, Failure> {
        let event = self.receive()?;
        equal((event.kind, event.badge), (Kind::PAGE_REQUEST, BADGE))?;
        let [page, count, access, _] = event.words;
        Ok(Request {
            pid: event.pid,
            page,
            count,
            access,
        })
    }

    /// The next call.
    pub fn call(&self) -> Result<Received, Failure> {
        let call = self.receive()?;
        equal(call.kind, Kind::CALL)?;
        Ok(call)
    }

    /// What comes next, but for the end of clients of other parts of the test.
    fn receive(&self) -> Result<Received, Failure> {
        loop {
            let event = ipc::receive(self.port, Tag::SHORT)?;
            if event.kind != Kind::OBJECT_UNUSED {
                return Ok(event);
            }
        }
    }

    /// Answers requests with single pages, until so many clients have [`finished`](Self::finish).
    pub fn serve(&self, mut clients: u32) -> Outcome {
        while clients != 0 {
            let event = self.receive()?;
            match event.kind {
                Kind::PAGE_REQUEST => drop(self.supply(event.words[0], 1)?),
                Kind::SEND => clients -= 1,
                kind => equal(kind, Kind::SEND)?,
            }
        }
        Ok(())
    }

    /// A client needs no pages any more.
    pub fn finish(&self) -> Outcome {
        Ok(ipc::send(self.port, Tag::SHORT, [0; 4])?)
    }

    /// Which pages were written, as bits.
    pub fn clean(&self) -> Result<u64, Failure> {
        let mut bitmap = [0];
        let count = memory::clean(self.object, 0, self.pages, &mut bitmap)?;
        equal(count, u64::from(bitmap[0].count_ones()))?;
        Ok(bitmap[0])
    }

    /// A handle as a client has it.
    pub fn client_handle(&self) -> Result<Handle, Failure> {
        let rights = Rights::READ | Rights::WRITE | Rights::DUP | Rights::TRANSFER;
        Ok(ipc::duplicate(self.object, rights)?)
    }
}

/// A mapping of an object.
pub fn map(object: Handle, pages: u64, prot: Prot, flags: MapFlags) -> Result<Pages, Failure> {
    let length = pages * PAGE_SIZE;
    let mapping = Mapping {
        flags,
        ..Mapping::shared(object, length, prot)
    };
    let address = map_anywhere(&mapping)?;
    Ok(Pages { address, length })
}

/// Moves all pages of `source` into the object.
pub fn supply(object: Handle, first: u64, source: Pages) -> Result<u64, ferrix_abi::Error> {
    // SAFETY: only raw accesses use the pages.
    unsafe { memory::supply(object, first, source.length / PAGE_SIZE, source.address) }
}
