//! The key of a runner, and what is signed with it: <https://github.com/standard-webhooks/standard-webhooks>.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::small_file;

/// What marks a key that is written in base64.
const IN_BASE64: &str = "whsec_";

/// A key.
pub(in crate::runner) struct Key(Hmac<Sha256>);

impl Key {
    /// That in a file of one line: `whsec_` and base64, or the key itself.
    ///
    /// # Errors
    /// Why there is none, without showing anything of it.
    pub(in crate::runner) fn read(path: &Path) -> Result<Self, String> {
        Self::of(&small_file::secret(path)?)
    }

    fn of(text: &str) -> Result<Self, String> {
        let key = match text.strip_prefix(IN_BASE64) {
            Some(text) => {
                STANDARD.decode(text).map_err(|_| format!("what follows {IN_BASE64} is not base64"))?
            }
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err("its key is empty".to_owned());
        }
        Ok(Self(Hmac::new_from_slice(&key).map_err(|error| error.to_string())?))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the documentation of the standard's own libraries.
    #[test]
    fn a_request_is_signed_as_the_standard_does() {
        let key = Key::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_not_shown_and_one_that_is_none_is_refused() {
        let refused = |text: &str| Key::of(text).unwrap_err();
        assert!(refused("whsec_*").contains("not base64") && refused("whsec_").contains("empty"));
        assert_eq!(format!("{:?}", Key::of("secret").unwrap()), "Key");
        let of_text = Key::of("secret").unwrap().sign("a", "1", b"");
        assert_eq!(of_text, Key::of("whsec_c2VjcmV0").unwrap().sign("a", "1", b""));
    }
}
