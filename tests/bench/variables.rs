//! Variables in the texts of a fault, written `$NAME`.

use std::collections::BTreeMap;

/// Variables and their values.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Names and values, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces each known `$NAME` by its value; unknown names stay.
    pub(crate) fn substitute(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let end = after.find(|char: char| !char.is_ascii_alphanumeric() && char != '_');
            let (name, tail) = after.split_at(end.unwrap_or(after.len()));
            out.push_str(before);
            match self.0.get(name) {
                Some(value) => out.push_str(value),
                None => {
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = tail;
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::Variables;

    #[test]
    fn known_names_are_replaced_and_others_stay() {
        let variables = Variables::default().with("NODE1", "192.0.2.1").with("NODE10", "192.0.2.10");
        assert_eq!(variables.substitute("$NODE10:2377 or $NODE1"), "192.0.2.10:2377 or 192.0.2.1");
        assert_eq!(variables.substitute("$OTHER costs $5, $"), "$OTHER costs $5, $");
    }
}
