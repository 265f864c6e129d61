//! The shell's variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::ast::Bytes;

/// One variable.
#[derive(Clone, Debug, Default)]
pub struct Variable {
    /// `None` when it only has attributes, as after `export x`.
    pub value: Option<Bytes>,
    /// Passed to programs.
    pub exported: bool,
    /// Cannot be changed.
    pub read_only: bool,
}

/// All variables, and those that functions made local.
#[derive(Default)]
pub struct Variables {
    map: BTreeMap<Bytes, Variable>,
    scopes: Vec<Vec<(Bytes, Option<Variable>)>>,
}

impl Variables {
    /// The environment that this process was given.
    pub fn from_environment() -> Self {
        let mut variables = Self::default();
        for (name, value) in std::env::vars_os() {
            let variable = Variable {
                value: Some(value.into_vec()),
                exported: true,
                read_only: false,
            };
            variables.map.insert(name.into_vec(), variable);
        }
        variables
    }

    /// A variable's value, if it has one.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.map.get(name)?.value.as_deref()
    }

    /// All variables by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Variable)> {
        self.map.iter()
    }

    /// Assigns; the error names the variable that is read-only.
    pub fn set(&mut self, name: &[u8], value: impl Into<Bytes>) -> Result<(), String> {
        let variable = self.changeable(name)?;
        variable.value = Some(value.into());
        Ok(())
    }

    /// Removes.
    pub fn unset(&mut self, name: &[u8]) -> Result<(), String> {
        self.changeable(name)?;
        self.map.remove(name);
        Ok(())
    }

    fn changeable(&mut self, name: &[u8]) -> Result<&mut Variable, String> {
        let variable = self.map.entry(name.to_vec()).or_default();
        if variable.read_only {
            return Err(format!("{}: is read only", name.escape_ascii()));
        }
        Ok(variable)
    }

    /// A variable to change the attributes of.
    pub fn attributes(&mut self, name: &[u8]) -> &mut Variable {
        self.map.entry(name.to_vec()).or_default()
    }

    /// Takes a variable's whole state, to be put back later.
    pub fn save(&self, name: &[u8]) -> (Bytes, Option<Variable>) {
        (name.to_vec(), self.map.get(name).cloned())
    }

    /// Puts back what was saved.
    pub fn restore(&mut self, saved: Vec<(Bytes, Option<Variable>)>) {
        // The oldest state of a name that was saved twice wins.
        for (name, variable) in saved.into_iter().rev() {
            match variable {
                Some(variable) => self.map.insert(name, variable),
                None => self.map.remove(&name),
            };
        }
    }

    /// A function begins.
    pub fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }

    /// A function ends: its local variables become what they were.
    pub fn leave(&mut self) {
        let saved = self.scopes.pop().unwrap_or_default();
        self.restore(saved);
    }

    /// Makes `name` local to the function that runs; fails outside functions.
    pub fn make_local(&mut self, name: &[u8]) -> Result<(), String> {
        let saved = self.save(name);
        let scope = self
            .scopes
            .last_mut()
            .ok_or("only functions have local variables")?;
        scope.push(saved);
        Ok(())
    }

    /// The environment for a program.
    pub fn environment(&self) -> Vec<OsString> {
        let exported = self.map.iter().filter(|(_, variable)| variable.exported);
        exported
            .filter_map(|(name, variable)| {
                let value = variable.value.as_ref()?;
                Some(OsString::from_vec([name.as_slice(), b"=", value].concat()))
            })
            .collect()
    }
}
