//! A launch by LTI 1.1: a form signed with a shared secret.

use super::{Whose, mark};
use crate::{App, AppError};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use lab_core::{
    Timestamp,
    launch::lti::{
        BASIC_WINDOW_SECS, BasicClaims, Fault, Kind, LaunchUrl, OauthRequest, Params, RegistrationKey, Version,
        check_basic,
    },
    port::Redeem,
};
use sha1::Sha1;
use std::net::IpAddr;

/// Signs for keys that nobody registered, so that the time of an answer does not tell which keys there are.
const NO_SECRET: &str = "no secret has a space in it";

impl App {
    /// Verifies a form that was posted to `url`, our address as browsers know it, and makes a launch link's token of it.
    ///
    /// # Errors
    /// [`AppError::Lti`]; it is kept for `labwire lti test`, unless the address it came from goes too fast.
    pub async fn lti_form(&self, url: &str, params: &Params, from: IpAddr) -> Result<String, AppError> {
        self.launch_paced(from)?;
        let mut whose = Whose::default();
        let launched = self.form(url, params, &mut whose).await;
        self.noted(Version::V1p1, whose, launched).await
    }

    async fn form(&self, url: &str, params: &Params, whose: &mut Whose) -> Result<String, AppError> {
        whose.platform = params.filled("oauth_consumer_key").map(str::to_owned);
        let claims = BasicClaims::read(params)?;
        let key = RegistrationKey::Consumer {
            key: claims.key.to_owned(),
        };
        let registration = self.ports.store.lti_registration_find(&key).await?.pop();
        let secret = match registration.as_ref().map(|r| &r.kind) {
            Some(Kind::Consumer { secret, .. }) => secret.as_str(),
            _ => NO_SECRET,
        };
        let right = signature_fits(url, params, claims.signature, secret);
        let Some(registration) = registration else {
            return Err(Fault::ConsumerUnknown
                .because(format!(
                    "no registration has the key {:?}; add it by `labwire lti add`",
                    claims.key
                ))
                .into());
        };
        whose.registration = Some(registration.id.clone());
        LaunchUrl::read(&self.settings.public_url, url, "the address of the launch")?;
        if !right {
            return Err(Fault::OauthSignature
                .because(format!(
                    "the signature is not that of {url} with the registered secret; compare the secret in the platform, and the address"
                ))
                .into());
        }
        let now = self.now();
        claims.in_time(now)?;
        // kept as long as its timestamp is accepted
        let keep_until = Timestamp::from_secs(claims.timestamp.saturating_add(2 * BASIC_WINDOW_SECS));
        let timestamp = claims.timestamp.to_string();
        let nonce = mark("oauth", &[claims.key, &timestamp, claims.nonce]);
        if let Redeem::Used { at } = self.ports.store.launch_redeem(nonce, now, keep_until).await? {
            return Err(Fault::OauthNonce.because(format!("the nonce was used at {at}")).into());
        }
        let verified = check_basic(params)?;
        let link = self.arrive(&registration, verified, url).await?;
        self.launched(&registration.id).await;
        Ok(link)
    }
}

/// The signature of a request of ours, base64; `None` when its address is none.
pub(crate) fn oauth_signature(request: &OauthRequest<'_>, secret: &str) -> Option<String> {
    let mac = mac(&request.base_string()?, secret);
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

fn mac(text: &str, secret: &str) -> Hmac<Sha1> {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(OauthRequest::key(secret).as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// In constant time.
fn signature_fits(url: &str, params: &Params, signature: &str, secret: &str) -> bool {
    let request = OauthRequest {
        method: "POST",
        url,
        params,
    };
    let (Some(text), Ok(signature)) = (request.base_string(), STANDARD.decode(signature)) else {
        return false;
    };
    mac(&text, secret).verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signed by oauthlib 4.0.1: query, explicit port, host in capitals, accents, `&`, an empty value.
    #[test]
    fn what_oauthlib_signed_is_right_and_a_changed_letter_is_not() {
        let url = "https://LABS.example.org:443/lti/labs/ospf?lab=a%20b&x=";
        let params = Params::parse(OAUTHLIB_FORM).unwrap();
        let signature = params.get("oauth_signature").unwrap().to_owned();
        assert!(signature_fits(url, &params, &signature, "s3cret & accentué"));
        assert!(!signature_fits(url, &params, &signature, "s3cret & accentue"));
        assert!(!signature_fits(
            &url.replace("ospf", "ospg"),
            &params,
            &signature,
            "s3cret & accentué"
        ));
        let mut changed = params.clone();
        changed.0[0].1.push('x');
        assert!(!signature_fits(url, &changed, &signature, "s3cret & accentué"));
        assert!(!signature_fits(url, &params, "", "s3cret & accentué"));
        assert!(!signature_fits(url, &params, "not base64", "s3cret & accentué"));
    }

    const OAUTHLIB_FORM: &str = "context_title=R%C3%A9seaux+%26+co&launch_presentation_return_url=&custom_note=a%2Bb%3Dc&roles=Student&oauth_nonce=n-1&oauth_timestamp=1800000000&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=J%2FjmGbA0%2Br1BHLvi4MRfVycsedo%3D";
}
