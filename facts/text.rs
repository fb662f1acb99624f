//! Raw text that can be quoted by line.

use schemars::JsonSchema;
use serde::Serialize;

/// Unmodified text, stored so that evidence can quote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Text(pub String);

impl Text {
    /// The line with this number, from 1, without its line end.
    pub fn line(&self, number: u32) -> Option<&str> {
        self.0.lines().nth(number.checked_sub(1)? as usize)
    }

    /// The line, from 1, on which `key` stands as a key of the outermost JSON object.
    pub fn line_of_key(&self, key: &str) -> Option<u32> {
        let mut line = 1;
        let mut depth = 0_usize;
        let mut chars = self.0.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '\n' => line += 1,
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                '"' => {
                    let start = at + 1;
                    let mut end = start;
                    while let Some((at, char)) = chars.next() {
                        end = at;
                        match char {
                            '"' => break,
                            '\\' => drop(chars.next()),
                            _ => {}
                        }
                    }
                    let colon_follows =
                        self.0.get(end + 1..).is_some_and(|t| t.trim_start().starts_with(':'));
                    if depth == 1 && colon_follows && self.0.get(start..end) == Some(key) {
                        return Some(line);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn finds_the_line_of_a_key_at_the_top_only() {
        let text = Text(
            "{\n \"a\": {\"live-restore\": 1},\n \"b\": \"live-restore\",\n \"live-restore\": true\n}".into(),
        );
        assert_eq!(text.line_of_key("live-restore"), Some(4));
        assert_eq!(text.line(4), Some(" \"live-restore\": true"));
        assert_eq!(text.line_of_key("c"), None);
    }

    #[test]
    fn survives_text_that_is_not_json() {
        assert_eq!(Text("{\"a".into()).line_of_key("a"), None);
        assert_eq!(Text("\"\\".into()).line_of_key("a"), None);
    }
}
