//! `$NAME` and `${NAME}` in a compose file, as `docker stack deploy` replaces them.

use crate::stack::Variable;
use std::collections::BTreeMap;

/// The text with its variables replaced; what is not set and has no default is empty, as docker takes it.
/// Each variable met is added to `met`.
pub(super) fn interpolate(
    text: &str,
    line: u32,
    values: &BTreeMap<String, Option<String>>,
    met: &mut Vec<Variable>,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(literal) = after.strip_prefix('$') {
            out.push('$');
            rest = literal;
            continue;
        }
        let (expression, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or_else(|| format!("${{ without }} in {text:?}"))?,
            None => after.split_at(name_length(after)),
        };
        let (name, otherwise) = expression.split_at(name_length(expression));
        if name.is_empty() {
            return Err(format!("$ without a name in {text:?}; a $ itself is written $$"));
        }
        let value = values.get(name).cloned().flatten();
        let (default, required, empty_counts) = match otherwise.as_bytes() {
            [] => (None, false, false),
            [b':', b'-', ..] => (otherwise.get(2..), false, true),
            [b'-', ..] => (otherwise.get(1..), false, false),
            [b':', b'?', ..] => (None, true, true),
            [b'?', ..] => (None, true, false),
            _ => return Err(format!("${{{expression}}} is no variable that docker knows")),
        };
        met.push(Variable { line, name: name.to_owned(), has_default: default.is_some(), required });
        let value = value.filter(|value| !(empty_counts && value.is_empty()));
        out.push_str(value.as_deref().or(default).unwrap_or(""));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn name_length(text: &str) -> usize {
    let of_name = |(at, char): (usize, char)| {
        let letter = char.is_ascii_alphabetic() || char == '_';
        !(letter || (at > 0 && char.is_ascii_digit()))
    };
    text.char_indices().position(of_name).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::interpolate;
    use std::collections::BTreeMap;

    fn of(text: &str) -> Result<String, String> {
        let values =
            BTreeMap::from([("A".to_owned(), Some("1".to_owned())), ("E".to_owned(), Some(String::new()))]);
        interpolate(text, 1, &values, &mut Vec::new())
    }

    #[test]
    fn replaces_as_docker_does() {
        assert_eq!(of("x$A-${A}.$$A").as_deref(), Ok("x1-1.$A"));
        assert_eq!(of("${N:-d}${E:-e}${E-e}${N}").as_deref(), Ok("de"));
        assert!(of("${A").is_err() && of("$ 1").is_err() && of("${A!x}").is_err());
    }
}
