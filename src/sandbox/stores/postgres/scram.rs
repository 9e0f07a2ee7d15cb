//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

const ITERATIONS: u32 = 4096;

/// An exchange with one client.
#[derive(Debug)]
pub struct Scram {
    salted_password: [u8; 32],
    /// `client-first-message-bare , server-first-message`
    begun: String,
    nonce: String,
}

impl Scram {
    /// Answers a client's first message; none when it is not understood.
    pub fn begin(password: &str, client_first: &str) -> Option<(Self, String)> {
        let salt: [u8; 16] = rand::random();
        let nonce = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
        Self::begin_with(password, client_first, &salt, &nonce)
    }

    fn begin_with(
        password: &str,
        client_first: &str,
        salt: &[u8],
        nonce: &str,
    ) -> Option<(Self, String)> {
        // `n`: the client binds to no channel; `y`: it would, but knows that this server does not.
        let bare = client_first.strip_prefix("n,,").or_else(|| client_first.strip_prefix("y,,"))?;
        let client_nonce = bare.split(',').find_map(|part| part.strip_prefix("r="))?;
        let nonce = format!("{client_nonce}{nonce}");
        let answer = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(salt));
        let salted_password = stretched(password.as_bytes(), salt)?;
        Some((Self { salted_password, begun: format!("{bare},{answer}"), nonce }, answer))
    }

    /// The server's last message, if the client's last one proves that it knows the password.
    pub fn finish(&self, client_final: &str) -> Option<String> {
        let (without_proof, proof) = client_final.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let bound = parts.next()?;
        if !matches!(bound, "c=biws" | "c=eSws") || parts.next()?.strip_prefix("r=")? != self.nonce
        {
            return None;
        }
        let said = format!("{},{without_proof}", self.begun);
        let stored_key = Sha256::digest(hash(&self.salted_password, b"Client Key")?);
        let signature = hash(&stored_key, said.as_bytes())?;
        let mut client_key = STANDARD.decode(proof).ok()?;
        if client_key.len() != signature.len() {
            return None;
        }
        client_key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        if Sha256::digest(&client_key) != stored_key {
            return None;
        }
        let server_key = hash(&self.salted_password, b"Server Key")?;
        Some(format!("v={}", STANDARD.encode(hash(&server_key, said.as_bytes())?)))
    }
}

fn hash(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().into())
}

/// `Hi()` of RFC 5802, which is PBKDF2 for one block.
fn stretched(password: &[u8], salt: &[u8]) -> Option<[u8; 32]> {
    let mut round = hash(password, &[salt, &1_u32.to_be_bytes()].concat())?;
    let mut result = round;
    for _ in 1..ITERATIONS {
        round = hash(password, &round)?;
        result.iter_mut().zip(round).for_each(|(byte, mask)| *byte ^= mask);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange in section 3 of RFC 7677.
    fn example() -> (Scram, String) {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        Scram::begin_with("pencil", first, &salt, nonce).expect("understood")
    }

    #[test]
    fn the_example_of_the_standard_is_answered_as_it_says() {
        let (scram, answer) = example();
        assert_eq!(
            answer,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let said = scram.finish(last);
        assert_eq!(said.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn a_wrong_proof_nonce_or_binding_is_refused() {
        let (scram, _) = example();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        for last in [
            format!("c=biws,r={nonce},p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
            format!("c=biws,r={nonce},p=dHzb"),
            format!("c=biws,r={nonce}x,p={proof}"),
            format!("c=cD10bHM,r={nonce},p={proof}"),
            format!("c=biws,r={nonce}"),
            String::new(),
        ] {
            assert_eq!(scram.finish(&last), None, "{last}");
        }
        assert!(Scram::begin("pencil", "p=tls-server-end-point,,n=,r=x").is_none());
    }
}
