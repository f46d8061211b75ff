//! Makes ids and secrets from the ports, so that a test with fixed entropy is repeatable.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lab_core::port::{Clock, Entropy};
use uuid::Uuid;

/// A version 7 id: sorts by time.
pub(crate) fn uuid7(clock: &dyn Clock, entropy: &dyn Entropy) -> Uuid {
    let random = entropy.bytes32();
    let mut ten = [0; 10];
    ten.copy_from_slice(&random[..10]);
    let millis = u64::try_from(clock.now().0 / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &ten).into_uuid()
}

/// 256 unpredictable bits as 43 characters that need no escaping in an address.
pub(crate) fn secret(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(entropy.bytes32())
}
