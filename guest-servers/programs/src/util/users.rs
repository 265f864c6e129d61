//! Names of users and groups, from `/etc/passwd` and `/etc/group`.

use std::collections::BTreeMap;
use std::fs;

/// Names by number, and numbers by name.
pub struct Names {
    by_id: BTreeMap<u32, String>,
}

impl Names {
    /// The users. Where there is no list nobody has a name.
    pub fn users() -> Self {
        Self::read("/etc/passwd")
    }

    /// The groups.
    pub fn groups() -> Self {
        Self::read("/etc/group")
    }

    fn read(path: &str) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_string();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        let mut by_id = BTreeMap::new();
        for (id, name) in text.lines().filter_map(entry) {
            by_id.entry(id).or_insert(name);
        }
        Self { by_id }
    }

    /// The name of `id`, or the number itself.
    pub fn name(&self, id: u32) -> String {
        self.known(id)
            .map_or_else(|| id.to_string(), str::to_string)
    }

    /// The name of `id`, if it has one.
    pub fn known(&self, id: u32) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    /// The number that a name or a number means.
    pub fn id(&self, text: &str) -> Option<u32> {
        let named = self
            .by_id
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(id, _)| *id);
        named.or_else(|| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let names = Names::parse("root:x:0:0::/root:/bin/sh\nbad\nann:x:7:\n");
        assert_eq!(names.name(7), "ann");
        assert_eq!(names.name(8), "8");
        assert_eq!(names.id("root"), Some(0));
        assert_eq!(names.id("9"), Some(9));
        assert_eq!(names.id("nobody"), None);
    }
}
