//! Variables in the texts of a fault, written `$NAME`.

use std::collections::BTreeMap;

/// Variables and their values.
#[derive(Clone, Debug, Default)]
pub struct Words(BTreeMap<String, String>);

impl Words {
    /// One more variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Gives a variable its value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Each variable with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text with the values in place of the names that are known; others stay as they are.
    pub(crate) fn put_into(&self, text: &str) -> String {
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
    use super::Words;

    #[test]
    fn known_names_are_replaced_and_others_stay() {
        let words = Words::default().with("NODE1", "192.0.2.1").with("NODE10", "192.0.2.10");
        assert_eq!(words.put_into("$NODE10:2377 or $NODE1"), "192.0.2.10:2377 or 192.0.2.1");
        assert_eq!(words.put_into("$OTHER costs $5, $"), "$OTHER costs $5, $");
    }
}
