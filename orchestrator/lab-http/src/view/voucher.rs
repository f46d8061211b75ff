//! Vouchers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /vouchers/redeem`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemRequest {
    /// As the learner typed it: case, dashes and blanks do not matter.
    pub code: String,
}

/// What a voucher gave.
#[derive(Serialize, ToSchema)]
pub struct RedeemedView {
    pub grant: String,
    pub plan: String,
    pub seconds: i64,
    /// Until when the time can be used; Unix seconds.
    pub expires_at: i64,
    /// False: this learner redeemed it before, and it gave nothing more.
    pub new: bool,
}
