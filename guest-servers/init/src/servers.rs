//! Ports and server processes.
//!
//! Init makes the ports and keeps them, so a server's clients keep their handles when it is restarted.

use crate::loader;
use crate::modules::{Modules, command_line};
use crate::startup::{Failure, Page};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ferrix_abi::handle::{Handle, Rights};
use ferrix_abi::limit::{Limit, Resource};
use ferrix_init::manifest::{Manifest, Server};
use ferrix_proto::device::Device;
use ferrix_proto::startup::name;
use ferrix_rt::sys::{ipc, limit, process};

const CALLER_RIGHTS: Rights = Rights::SEND.union(Rights::DUP).union(Rights::TRANSFER);

/// A server of the manifest and its process.
pub struct Running {
    /// The manifest's entry.
    pub server: Server,
    /// Pid of the process; 0 before it is started.
    pub pid: u32,
}

/// The ports of all servers, by name.
#[derive(Clone)]
pub struct Ports(BTreeMap<String, Handle>);

impl Ports {
    /// The port of a server.
    pub fn get(&self, name: &str) -> Result<Handle, Failure> {
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| Failure::new(name, "no server has this name"))
    }
}

/// All servers.
pub struct Servers {
    /// Their ports.
    pub ports: Ports,
    /// In the manifest's order.
    pub running: Vec<Running>,
    /// What drivers are told of.
    devices: Vec<Device>,
}

impl Servers {
    /// Makes a port for every server and for init itself.
    pub fn create_ports(manifest: &Manifest, devices: Vec<Device>) -> Result<Servers, Failure> {
        let mut ports = BTreeMap::new();
        let names = manifest.servers.iter().map(|server| server.name.as_str());
        for name in names.chain([name::INIT]) {
            let port = ipc::port_create().map_err(|error| Failure::kernel(name, error))?;
            ports.insert(name.to_string(), port);
        }
        let running = manifest.servers.iter().cloned();
        Ok(Servers {
            ports: Ports(ports),
            running: running.map(|server| Running { server, pid: 0 }).collect(),
            devices,
        })
    }

    /// Starts every server, in the manifest's order.
    pub fn start_all(&mut self, modules: &Modules) -> Result<(), Failure> {
        (0..self.running.len()).try_for_each(|index| self.start(index, modules))
    }

    /// Starts one server, for the first time or again.
    pub fn start(&mut self, index: usize, modules: &Modules) -> Result<(), Failure> {
        let server = &self.running[index].server;
        let loaded = loader::load(modules, &server.name, &server.name)?;
        let fail = |error| Failure::kernel(&server.name, error);
        set_limits(&server.name, loaded.pid, &server.limits)?;
        let page = self.startup_page(server, loaded.process, modules)?;
        let address = page.map_into(loaded.process).map_err(fail)?;
        process::start(
            loaded.process,
            loaded.entry,
            loaded.stack,
            address,
            server.priority,
        )
        .map_err(fail)?;
        ipc::close(loaded.process).map_err(fail)?;
        self.running[index].pid = loaded.pid;
        Ok(())
    }

    fn startup_page(
        &self,
        server: &Server,
        process: Handle,
        modules: &Modules,
    ) -> Result<Page, Failure> {
        let mut page = Page::new();
        page.argument(&server.name)?;
        server
            .args
            .iter()
            .try_for_each(|argument| page.argument(argument))?;
        if !server.resource.is_empty() {
            for device in &self.devices {
                page.argument(&device.to_string())?;
            }
            grant(
                &mut page,
                process,
                name::RESOURCE,
                modules.resource(),
                server.resource,
            )?;
        }
        page.environment(command_line())?;
        let own = Rights::RECEIVE | CALLER_RIGHTS;
        grant(
            &mut page,
            process,
            name::SELF,
            self.ports.get(&server.name)?,
            own,
        )?;
        for called in &server.calls {
            grant(
                &mut page,
                process,
                called,
                self.ports.get(called)?,
                CALLER_RIGHTS,
            )?;
        }
        Ok(page)
    }
}

/// Sets the limits of a process that has not started.
pub fn set_limits(name: &str, pid: u32, limits: &[(Resource, Limit)]) -> Result<(), Failure> {
    for (resource, limit) in limits {
        limit::set(pid, *resource, Some(limit)).map_err(|error| Failure::kernel(name, error))?;
    }
    Ok(())
}

/// Gives a process a handle under a name.
pub fn grant(
    page: &mut Page,
    process: Handle,
    name: &str,
    handle: Handle,
    rights: Rights,
) -> Result<(), Failure> {
    let there =
        ipc::grant(process, handle, rights).map_err(|error| Failure::kernel(name, error))?;
    page.handle(name, there)
}

/// Gives a process the means to call a port.
pub fn grant_caller(
    page: &mut Page,
    process: Handle,
    name: &str,
    port: Handle,
) -> Result<(), Failure> {
    grant(page, process, name, port, CALLER_RIGHTS)
}
