//! The line discipline: canonical and raw input, editing, echo, signals, flow control (POSIX XBD 11.1).

mod edit;

use crate::output::{Column, announce, process};
use crate::termios::Termios;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

/// Most bytes of one line (`MAX_CANON`, as Linux has it) and of unread input.
pub const LINE_MAX: usize = 4095;

const BACKSPACE: u8 = 0x08;
const BELL: u8 = 0x07;
const DELETE: u8 = 0x7f;

/// What input makes happen outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The foreground process group gets this signal.
    Signal(u32),
}

/// What `read` comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Bytes (none: end of file).
    Bytes(Vec<u8>),
    /// Nothing yet.
    Wait,
}

/// A terminal.
#[derive(Debug, Default)]
pub struct Terminal {
    termios: Termios,
    /// The line being edited.
    line: Vec<u8>,
    /// Finished input.
    ready: VecDeque<u8>,
    /// Canonical mode: lengths of the finished lines in `ready`; an end of file is a line of length 0 or
    /// one without newline.
    lines: VecDeque<usize>,
    /// The next byte is taken literally (after VLNEXT).
    literal: bool,
    /// There will be no more input.
    ended: bool,
    /// Output is held back (after VSTOP).
    stopped: bool,
    column: Column,
    /// Where the line being edited began.
    line_column: usize,
    output: VecDeque<u8>,
}

impl Terminal {
    /// The attributes.
    pub const fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Sets the attributes. Input typed so far becomes readable when canonical mode ends.
    pub fn set_termios(&mut self, termios: Termios) {
        let was = self.termios.has_local(linux::ICANON);
        self.termios = termios;
        let is = self.termios.has_local(linux::ICANON);
        if was && !is {
            self.ready.extend(self.line.drain(..));
            self.lines.clear();
        } else if !was && is && !self.ready.is_empty() {
            self.lines.push_back(self.ready.len());
        }
        if termios.input & linux::IXON == 0 {
            self.stopped = false;
        }
    }

    /// Drops unread input.
    pub fn flush_input(&mut self) {
        self.line.clear();
        self.ready.clear();
        self.lines.clear();
    }

    /// There will be no more input: what was typed is readable, and then reads find the end.
    pub fn end_input(&mut self) {
        self.ended = true;
        if !self.line.is_empty() {
            self.finish_line();
        }
    }

    /// Takes bytes from the keyboard; signals to send, in order.
    pub fn input(&mut self, bytes: &[u8]) -> Vec<Event> {
        bytes
            .iter()
            .filter_map(|&byte| self.input_byte(byte))
            .collect()
    }

    /// Takes a program's output.
    pub fn write(&mut self, bytes: &[u8]) {
        process(&self.termios, &mut self.column, bytes, &mut self.output);
    }

    /// Takes lines that are no program's: the kernel's log.
    pub fn announce(&mut self, bytes: &[u8]) {
        announce(&mut self.column, bytes, &mut self.output);
    }

    /// Whether input is taken without loss: there is room, or no reader could make any because no
    /// line is finished.
    pub fn takes_input(&self) -> bool {
        self.line.len() + self.ready.len() < LINE_MAX || self.readable_len() == 0
    }

    /// Whether output is held back by its user.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What is to go to the device now; nothing while the output is stopped.
    pub fn pending_output(&self) -> &[u8] {
        if self.stopped {
            &[]
        } else {
            self.output.as_slices().0
        }
    }

    /// The device has taken so many bytes.
    pub fn output_taken(&mut self, length: usize) {
        self.output.drain(..length);
    }

    /// Bytes that wait for the device.
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Bytes that a `read` could get now (`FIONREAD`).
    pub fn readable_len(&self) -> usize {
        if self.termios.has_local(linux::ICANON) {
            self.lines.iter().sum()
        } else {
            self.ready.len()
        }
    }

    /// Whether a `read` would not wait.
    pub fn is_readable(&self) -> bool {
        if self.ended {
            return true;
        }
        if self.termios.has_local(linux::ICANON) {
            return !self.lines.is_empty();
        }
        self.ready.len() >= usize::from(self.minimum().max(1))
    }

    /// `VMIN`.
    pub fn minimum(&self) -> u8 {
        self.termios.characters[linux::VMIN as usize]
    }

    /// `VTIME`, in tenths of a second.
    pub fn time(&self) -> u8 {
        self.termios.characters[linux::VTIME as usize]
    }

    /// Takes input for a `read` of `length` bytes.
    ///
    /// Raw mode with `VMIN` 0 never waits here; a `VTIME` is the caller's business.
    pub fn read(&mut self, length: usize) -> Readiness {
        if length == 0 {
            return Readiness::Bytes(Vec::new());
        }
        if !self.termios.has_local(linux::ICANON) {
            let wanted = usize::from(self.minimum()).min(length);
            if self.ready.len() < wanted && !self.ended {
                return Readiness::Wait;
            }
            return self.take(length);
        }
        let Some(line) = self.lines.front_mut() else {
            return if self.ended {
                Readiness::Bytes(Vec::new())
            } else {
                Readiness::Wait
            };
        };
        let taken = length.min(*line);
        *line -= taken;
        if *line == 0 {
            self.lines.pop_front();
        }
        self.take(taken)
    }

    /// Takes whatever raw input is there (the time is up).
    pub fn take(&mut self, length: usize) -> Readiness {
        let taken = length.min(self.ready.len());
        Readiness::Bytes(self.ready.drain(..taken).collect())
    }

    /// Puts bytes back that did not reach their reader.
    pub fn unread(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().rev() {
            self.ready.push_front(byte);
        }
        if self.termios.has_local(linux::ICANON) && !bytes.is_empty() {
            self.lines.push_front(bytes.len());
        }
    }

    fn input_byte(&mut self, byte: u8) -> Option<Event> {
        let input = self.termios.input;
        let byte = if input & linux::ISTRIP != 0 {
            byte & 0x7f
        } else {
            byte
        };
        if core::mem::take(&mut self.literal) {
            self.accept(byte);
            return None;
        }
        let byte = match byte {
            b'\r' if input & linux::IGNCR != 0 => return None,
            b'\r' if input & linux::ICRNL != 0 => b'\n',
            b'\n' if input & linux::INLCR != 0 => b'\r',
            byte => byte,
        };
        if self.flow_control(byte) {
            return None;
        }
        if let Some(signal) = self.signal_of(byte) {
            self.interrupt(byte);
            return Some(Event::Signal(signal));
        }
        if self.termios.has_local(linux::ICANON) {
            self.edit(byte);
        } else {
            self.accept(byte);
        }
        None
    }

    /// VSTOP and VSTART.
    fn flow_control(&mut self, byte: u8) -> bool {
        if self.termios.input & linux::IXON == 0 {
            return false;
        }
        let (stop, start) = (
            self.termios.is(byte, linux::VSTOP),
            self.termios.is(byte, linux::VSTART),
        );
        let any = self.stopped && self.termios.input & linux::IXANY != 0;
        if stop {
            self.stopped = true;
        } else if start || any {
            self.stopped = false;
        }
        stop || start
    }

    fn signal_of(&self, byte: u8) -> Option<u32> {
        if !self.termios.has_local(linux::ISIG) {
            return None;
        }
        let signals = [
            (linux::VINTR, linux::SIGINT),
            (linux::VQUIT, linux::SIGQUIT),
            (linux::VSUSP, linux::SIGTSTP),
        ];
        signals
            .into_iter()
            .find(|(index, _)| self.termios.is(byte, *index))
            .map(|(_, signal)| signal)
    }

    fn interrupt(&mut self, byte: u8) {
        self.stopped = false;
        if !self.termios.has_local(linux::NOFLSH) {
            self.flush_input();
            self.output.clear();
        }
        self.echo(byte);
    }

    /// A byte of input; the bell rings when there is no room.
    fn accept(&mut self, byte: u8) {
        let canonical = self.termios.has_local(linux::ICANON);
        // A full line still takes what ends it.
        let room = LINE_MAX + usize::from(byte == b'\n');
        if self.line.len() + self.ready.len() >= room {
            if self.termios.input & linux::IMAXBEL != 0 {
                self.write_raw(&[BELL]);
            }
            return;
        }
        if canonical {
            if self.line.is_empty() {
                self.line_column = self.column.0;
            }
            self.line.push(byte);
        } else {
            self.ready.push_back(byte);
        }
        self.echo(byte);
    }

    fn finish_line(&mut self) {
        self.lines.push_back(self.line.len());
        self.ready.extend(self.line.drain(..));
    }

    fn echo(&mut self, byte: u8) {
        let newline = byte == b'\n';
        let shown = self.termios.has_local(linux::ECHO)
            || newline && self.termios.has_local(linux::ECHONL | linux::ICANON);
        if !shown {
            return;
        }
        if self.is_caret(byte) {
            self.write_raw(&[b'^', byte ^ 0x40]);
        } else {
            self.write(&[byte]);
        }
    }

    /// Whether a byte is shown as `^X`.
    fn is_caret(&self, byte: u8) -> bool {
        let control = byte < b' ' || byte == DELETE;
        control && byte != b'\n' && byte != b'\t' && self.termios.has_local(linux::ECHOCTL)
    }

    fn write_raw(&mut self, bytes: &[u8]) {
        self.output.extend(bytes);
        bytes.iter().for_each(|&byte| self.column.advance(byte));
    }
}

#[cfg(test)]
mod tests;
