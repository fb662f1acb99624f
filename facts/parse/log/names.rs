//! Which names stand for secrets.

/// Words that make a name secret wherever they stand in it.
const SECRET: &[&str] = &[
    "pass",
    "passphrase",
    "passwords",
    "passin",
    "passout",
    "credential",
    "credentials",
    "auth",
    "authorization",
    "cookie",
    "signature",
    "sig",
    "webhook",
    "pw",
    "psk",
    "jwt",
    "bearer",
];

/// Words that do so at a word's end too: `PGPASSWORD`, `identitytoken`.
const ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "requirepass",
    "masterauth",
    "storepass",
    "keypass",
    "encryptionkey",
    "signingkey",
    "sshkey",
    "privkey",
];

/// Words that end in `pass` and are none.
const NO_PASSWORDS: &[&str] =
    &["bypass", "compass", "encompass", "overpass", "surpass", "trespass", "underpass"];

/// Whether the value under this name is to be kept secret.
///
/// A name is looked at word by word, be it `DB_PASSWORD`, `registry-auth`, `spec.secret` or `SecretKey`.
pub(in crate::parse) fn is_secret(name: &str) -> bool {
    let words: Vec<String> = words(name);
    let has = |word: &str| words.iter().any(|w| w == word);
    let Some(last) = words.last() else { return false };
    // `DB_PASSWORD_FILE` says where the secret is: that is no secret and good to know.
    if matches!(last.as_str(), "file" | "path" | "dir") {
        return false;
    }
    // The engine's own `SecretID`, `SecretName` and `secret.id` are references; a `VAULT_SECRET_ID` is not.
    if matches!(last.as_str(), "id" | "name") && is_of_engine(name) {
        return false;
    }
    // `key=` alone is any key, and a public one may be seen.
    let is_key = words.len() > 1 && has("key") && !has("public") && !has("pub");
    let is_directory = words.len() == 1 && last == "pwd";
    is_key
        || (has("pwd") && !is_directory)
        // Consul's key for gossip.
        || name == "encrypt"
        || words.iter().any(|word| {
            SECRET.contains(&word.as_str())
                || ENDINGS.iter().any(|end| word.ends_with(end))
                || word.ends_with("pass") && !NO_PASSWORDS.contains(&word.as_str())
        })
}

/// Whether the name is written as Go writes its fields or swarmkit those of its log.
fn is_of_engine(name: &str) -> bool {
    let is_of_go = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.contains(|c: char| c.is_ascii_lowercase())
        && !name.contains(['_', '-']);
    is_of_go || name.contains('.')
}

/// The words of a name in lower case, split at marks, at capitals and after digits.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = name.chars().peekable();
    let mut before = '_';
    while let Some(char) = chars.next() {
        let next_is_small = chars.peek().is_some_and(char::is_ascii_lowercase);
        let starts_word = char.is_ascii_uppercase() && (!before.is_ascii_uppercase() || next_is_small)
            || char.is_ascii_alphabetic() && before.is_ascii_digit();
        if (starts_word || !char.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if char.is_ascii_alphanumeric() {
            word.push(char.to_ascii_lowercase());
        }
        before = char;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_names_into_words() {
        assert_eq!(words("DB_PASSWORD"), ["db", "password"]);
        assert_eq!(words("SigningCAKey"), ["signing", "ca", "key"]);
        assert_eq!(words("x-registry.auth"), ["x", "registry", "auth"]);
        assert_eq!(words("s3secret"), ["s3", "secret"]);
        assert_eq!(words("--"), [""; 0]);
    }

    #[test]
    fn knows_secrets() {
        for name in [
            "password",
            "PASSWORD",
            "DB_PASSWORD",
            "DB_PASS",
            "PGPASSWORD",
            "MYSQL_PWD",
            "token",
            "GH_TOKEN",
            "accessToken",
            "identitytoken",
            "secret",
            "CLIENT_SECRET",
            "SecretKey",
            "API_KEY",
            "APIKEY",
            "auth",
            "REGISTRY_AUTH",
            "X-Registry-Auth",
            "Authorization",
            "AWS_SECRET_ACCESS_KEY",
            "VAULT_SECRET_ID",
            "CREDENTIALS",
            "SigningCAKey",
            "passphrase",
            "DB_PW",
            "DBPASS",
            "encrypt",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn knows_what_is_none() {
        for name in [
            "",
            "key",
            "KEYS",
            "keys",
            "PWD",
            "PATH",
            "node.id",
            "session.id",
            "PUBLIC_KEY",
            "PublicKey",
            "CertIssuerPublicKey",
            "SecretID",
            "SecretName",
            "secret.id",
            "DB_PASSWORD_FILE",
            "SECRET_PATH",
            "author",
            "keyboard",
            "MONKEY",
            "BYPASS",
            "compass",
            "secretary",
            "level",
            "error",
            "tokenizer",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
