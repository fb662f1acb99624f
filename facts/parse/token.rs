//! Join tokens, read as swarmkit reads them (`ca/config.go`, `ParseJoinToken`), without keeping the secret.

use crate::join::{Flaw, Token};
use std::fmt::Write as _;

/// Length of the digest of the root CA: 256 bits in base 36.
const DIGEST_LENGTH: usize = 50;
/// Length of the secret.
const SECRET_LENGTH: usize = 25;

/// Parses a join token and drops its secret.
pub fn token(text: &str) -> Token {
    read(text).unwrap_or_else(|flaw| Token::Malformed { flaw })
}

fn read(text: &str) -> Result<Token, Flaw> {
    if text.is_empty() {
        return Err(Flaw::Empty);
    }
    if text.starts_with("SWMKEY-") {
        return Err(Flaw::UnlockKey);
    }
    let parts: Vec<&str> = text.split('-').collect();
    let (wants, fips) = match parts.as_slice() {
        ["SWMTKN", "1", ..] => (4, false),
        ["SWMTKN", "2", fips @ ("0" | "1"), ..] => (5, *fips == "1"),
        _ => return Err(Flaw::Foreign),
    };
    let [.., digest, secret] = parts.as_slice() else { return Err(Flaw::Foreign) };
    if parts.len() != wants {
        return Err(Flaw::Parts { has: parts.len(), wants });
    }
    for (part, text, wants) in [("authority", digest, DIGEST_LENGTH), ("secret", secret, SECRET_LENGTH)] {
        let has = text.chars().count();
        if has != wants {
            return Err(Flaw::Length { part: part.into(), has, wants });
        }
    }
    let root_ca = hex(digest).ok_or(Flaw::NoDigest)?;
    Ok(Token::Valid { root_ca, fips })
}

/// A number of at most 256 bits, from base 36 to base 16.
fn hex(text: &str) -> Option<String> {
    let mut bytes = [0_u8; 32];
    for digit in text.chars() {
        let mut carry = digit.to_digit(36)?;
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 36 + carry;
            *byte = u8::try_from(value & 0xff).ok()?;
            carry = value >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl";
    const SECRET: &str = "1awxwuwd3z9j1z3puu7rcgdbx";

    fn flaw(text: &str) -> Flaw {
        match token(text) {
            Token::Malformed { flaw } => flaw,
            sound => panic!("{sound:?}"),
        }
    }

    #[test]
    fn a_valid_token_gives_the_root_ca_digest_without_the_secret() {
        let sound = token(&format!("SWMTKN-1-{DIGEST}-{SECRET}"));
        let authority = "9a5b9d9dc2e2ca7bd8d6bb4e5ce8a1a6ea7b4d9f24e6e6a1d4d6e5d4b5e6f7a8";
        let Token::Valid { root_ca: digest, fips: false } = &sound else { panic!("{sound:?}") };
        assert_eq!(digest.len(), authority.len());
        assert!(!format!("{sound:?}").contains(SECRET));
        assert!(matches!(token(&format!("SWMTKN-2-1-{DIGEST}-{SECRET}")), Token::Valid { fips: true, .. }));
        assert!(matches!(token(&format!("SWMTKN-2-0-{DIGEST}-{SECRET}")), Token::Valid { fips: false, .. }));
    }

    #[test]
    fn base_36_becomes_base_16() {
        let text = |number: &str| format!("{number:0>50}");
        assert_eq!(hex(&text("zz")), Some(format!("{:0>64}", "50f")));
        assert_eq!(hex(&text("ZZ")), Some(format!("{:0>64}", "50f")));
        assert_eq!(hex(&"z".repeat(50)), None, "more than 256 bits");
        assert_eq!(hex("!"), None);
    }

    #[test]
    fn what_is_wrong_is_told_by_kind() {
        assert_eq!(flaw(""), Flaw::Empty);
        assert_eq!(flaw("SWMKEY-1-7c37Cc8654o6p38HnroywCi19pllOnGtb+dZ"), Flaw::UnlockKey);
        assert_eq!(flaw("hunter2"), Flaw::Foreign);
        assert_eq!(flaw("SWMTKN-3-a-b"), Flaw::Foreign);
        assert_eq!(flaw("SWMTKN-1"), Flaw::Parts { has: 2, wants: 4 });
        assert_eq!(flaw(&format!("SWMTKN-1-{DIGEST}")), Flaw::Parts { has: 3, wants: 4 });
        assert_eq!(flaw(&format!("SWMTKN-2-{DIGEST}-{SECRET}")), Flaw::Foreign);
        let short = Flaw::Length { part: "secret".into(), has: 20, wants: 25 };
        assert_eq!(flaw(&format!("SWMTKN-1-{DIGEST}-{}", &SECRET[..20])), short);
        let short = Flaw::Length { part: "authority".into(), has: 49, wants: 50 };
        assert_eq!(flaw(&format!("SWMTKN-1-{}-{SECRET}", &DIGEST[1..])), short);
        assert_eq!(flaw(&format!("SWMTKN-1-{}-{SECRET}", "z".repeat(50))), Flaw::NoDigest);
    }
}
