//! Builtins about jobs.

use super::{misuse, utility};
use crate::cx::cause;
use crate::sh::ast::Bytes;
use crate::sh::jobs::{JobId, State};
use crate::sh::state::{Flow, Shell};
use crate::sh::wait::Ground;
use crate::sys::{process, signal};

/// `jobs`
pub fn jobs(shell: &mut Shell, _: &[Bytes]) -> Flow {
    while let Ok(Some((pid, change))) = process::wait(process::Patience::Poll) {
        shell.jobs.record(pid, change);
    }
    let ids: Vec<JobId> = shell.jobs.iter().map(|job| job.id).collect();
    for id in ids {
        if let Some(line) = shell.describe_job(id) {
            println!("{line}");
        }
        let state = shell.jobs.get(id).map(|job| job.state());
        match state {
            Some(state) if state.ended() => shell.jobs.remove(id),
            Some(state) => {
                if let Some(job) = shell.jobs.get_mut(id) {
                    job.announced = state;
                }
            }
            None => {}
        }
    }
    Ok(0)
}

/// The job that the first argument names, or the current one.
fn chosen(shell: &Shell, words: &[Bytes]) -> Result<JobId, Flow> {
    let name = words.get(1).map(Vec::as_slice);
    shell.jobs.find(name).ok_or_else(|| {
        let name = name.unwrap_or(b"current").escape_ascii();
        misuse(shell, words, &format!("{name}: no such job"))
    })
}

/// `fg [JOB]`
pub fn fg(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let id = match chosen(shell, words) {
        Ok(id) => id,
        Err(flow) => return flow,
    };
    let Some(job) = shell.jobs.get_mut(id) else {
        return Ok(1);
    };
    println!("{}", String::from_utf8_lossy(&job.text));
    let target = job.target();
    let group = job.group;
    job.mark_running();
    if let (Some(terminal), Some(group)) = (&shell.terminal, group) {
        terminal.give_to(group);
    }
    if let Some(target) = target {
        // One that has just ended needs no signal.
        let _ = process::kill(target, libc::SIGCONT);
    }
    shell.finish(id, Ground::Fore)
}

/// `bg [JOB]`
pub fn bg(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let id = match chosen(shell, words) {
        Ok(id) => id,
        Err(flow) => return flow,
    };
    let Some(job) = shell.jobs.get_mut(id) else {
        return Ok(1);
    };
    job.mark_running();
    println!("[{}] {} &", id.0, String::from_utf8_lossy(&job.text));
    if let Some(target) = job.target()
        && let Err(why) = process::kill(target, libc::SIGCONT)
    {
        return misuse(shell, words, &cause(&why));
    }
    Ok(0)
}

/// `wait [JOB|PID]...`
pub fn wait(shell: &mut Shell, words: &[Bytes]) -> Flow {
    if words.len() == 1 {
        loop {
            let running = shell.jobs.iter().any(|job| job.state() == State::Running);
            if !running {
                break;
            }
            shell.wait_once();
            if signal::any() {
                shell.check_signals()?;
                return Ok(128 + libc::SIGINT);
            }
        }
        let ended: Vec<JobId> = shell
            .jobs
            .iter()
            .filter(|job| job.state().ended())
            .map(|job| job.id)
            .collect();
        ended.into_iter().for_each(|id| shell.jobs.remove(id));
        return Ok(0);
    }
    let mut status = 0;
    for word in &words[1..] {
        let Some(id) = shell.jobs.find(Some(word)) else {
            shell.complain(&format!("wait: {}: no such job", word.escape_ascii()));
            status = 127;
            continue;
        };
        status = wait_for(shell, id)?;
    }
    Ok(status)
}

fn wait_for(shell: &mut Shell, id: JobId) -> Flow {
    loop {
        let state = shell
            .jobs
            .get(id)
            .map_or(State::Exited(127), |job| job.state());
        if state.ended() {
            shell.jobs.remove(id);
            return Ok(state.status());
        }
        shell.wait_once();
        if signal::any() {
            shell.check_signals()?;
            return Ok(128 + libc::SIGINT);
        }
    }
}

/// `kill`, which here also knows `%JOB`.
pub fn kill(shell: &mut Shell, words: &[Bytes]) -> Flow {
    let mut words = words.to_vec();
    let by_name = words.get(1).is_some_and(|word| word.starts_with(b"-"));
    if !by_name {
        words.insert(1, b"-TERM".to_vec());
    }
    let mut stopped = Vec::new();
    for word in words
        .iter_mut()
        .skip(2)
        .filter(|word| word.starts_with(b"%"))
    {
        let job = shell
            .jobs
            .find(Some(word))
            .and_then(|id| shell.jobs.get(id));
        let Some((job, target)) = job.and_then(|job| Some((job, job.target()?))) else {
            let message = format!("{}: no such job", word.escape_ascii());
            return misuse(shell, &[b"kill".to_vec()], &message);
        };
        if matches!(job.state(), State::Stopped(_)) {
            stopped.push(target);
        }
        *word = target.to_string().into_bytes();
    }
    let flow = utility(shell, &words);
    // A stopped job only notices when it goes on; one that the signal killed is gone already.
    let wakes = !matches!(words[1].as_slice(), b"-STOP" | b"-TSTP" | b"-19" | b"-20");
    for target in stopped.into_iter().filter(|_| wakes) {
        let _ = process::kill(target, libc::SIGCONT);
    }
    flow
}
