//! Process 1 of the machine that `scripts/hardware-kvm` boots: makes the host's files its root (writes
//! stay in the machine), runs the command that the host asks for, and tells its status.
//!
//! The host ends the machine when it has that answer; this program never returns.

#![forbid(unsafe_code)]

mod command;
mod files;
mod heart;
mod network;
mod ports;
mod relay;
mod steady;

use anyhow::Result;
use hardware_kvm_init::Message;
use ports::Ports;
use steady::Steady;

fn main() -> ! {
    match files::mount_kernel_trees()
        .and_then(|()| files::load_modules())
        .and_then(|()| Ports::open())
    {
        Ok(mut ports) => {
            if let Err(error) = serve(&mut ports) {
                // Without a control port the host sees the machine's end instead.
                let _ = Message::Failed(format!("{error:#}")).write(&mut ports.control);
            }
        }
        Err(error) => eprintln!("hardware-kvm-init: {error:#}"),
    }
    loop {
        std::thread::park();
    }
}

fn serve(ports: &mut Ports) -> Result<()> {
    files::enter_host_tree()?;
    network::raise_loopback()?;
    let _steady = Steady::hold()?;
    Message::Ready.write(&mut ports.control)?;
    let request = command::Request::read(&mut ports.control)?;
    let heart = heart::Heart::beat(ports.control.try_clone()?);
    let ended = command::run(&request, ports);
    heart.stop();
    Ok(ended?.write(&mut ports.control)?)
}
