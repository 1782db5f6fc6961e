//! What shows a receiver that a body comes from us and was not changed: HMAC-SHA256 with a secret that both know.
//!
//! Two forms are sent, since receivers know one or the other. `webhook-id`, `webhook-timestamp` and `webhook-signature` are
//! those of Standard Webhooks (<https://www.standardwebhooks.com>): the signature covers the id and the time too, so that a
//! receiver can drop repeats and what is old. `x-hub-signature-256` covers the body alone, as GitHub does it.
//!
//! Promises: pure. A secret that begins with `whsec_` is read as Base64, as Standard Webhooks hands them out; any other is taken
//! as it is. On failure: a secret that says that it is Base64 and is not is a fault.

use crate::secret::Secret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

/// What a secret in Base64 begins with.
const ENCODED: &str = "whsec_";

/// Signs bodies with one secret.
pub struct Signer(Key);

/// The headers of a signed body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// `webhook-signature`.
    pub standard: String,
    /// `x-hub-signature-256`.
    pub of_body: String,
}

impl Signer {
    /// Makes one.
    ///
    /// # Errors
    /// What is wrong with the secret, without repeating it.
    pub fn new(secret: &Secret) -> Result<Signer, &'static str> {
        let key = match secret.expose().strip_prefix(ENCODED) {
            Some(encoded) => BASE64_STANDARD
                .decode(encoded)
                .map_err(|_| "begins with `whsec_`, and the rest is no Base64")?,
            None => secret.expose().as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err("must not be empty");
        }
        Ok(Signer(Key::new(HMAC_SHA256, &key)))
    }

    /// Signs a body that is sent under an id at a time, in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> Signatures {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        let standard = format!("v1,{}", BASE64_STANDARD.encode(sign(&self.0, &signed)));
        let of_body: String = sign(&self.0, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Signatures { standard, of_body: format!("sha256={of_body}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str) -> Result<Signer, &'static str> {
        Signer::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        // GitHub's documentation of its webhooks has this one.
        let signatures =
            signer("It's a Secret to Everybody").expect("a secret").sign("id", 0, b"Hello, World!");
        assert_eq!(
            signatures.of_body,
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        // And the libraries of Standard Webhooks are tested with this one.
        let signer = signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signatures =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signatures.standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_a_fault() {
        assert!(signer("whsec_no Base64").is_err_and(|fault| !fault.contains("no Base64 at")));
        assert!(signer("").is_err() && signer("whsec_").is_err());
    }
}
