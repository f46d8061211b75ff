//! Forms signed by oauthlib 4.0.1, and by Open edX's own consumer (`lti-consumer-xblock` 11.4.4), as the consumer `fun` with
//! [`SECRET`] at the fakes' morning.

pub const SECRET: &str = "0123456789abcdef & accentué";

/// A learner, at `/lti/labs/ping`.
pub const LEARNER: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n1&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=Nu4sAHmFb9qfPhxWsG1oeNKO9y4%3D";

/// The same at `/lti/labs/ping?lab=a%20b&x=`, signed for `HTTP://LOCALHOST:8080`.
pub const QUERY: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n2&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=OOPfbyf0U1fBcA8N4tOaQT0bRvQ%3D";

/// A teaching assistant, who is also a learner; named with accents.
pub const TEACHER: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&roles=Learner%2Curn%3Alti%3Arole%3Aims%2Flis%2FTeachingAssistant&user_id=t1&lis_person_name_full=Zo%C3%AB+%C3%89b%C3%A8ne&oauth_nonce=n3&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=KE%2FvOBeOC4o2vABAMrWQzjRlwy8%3D";

/// Signed with another secret.
pub const OTHER_SECRET: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n4&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=tycimnTxMMO%2Bzbi%2Bz641n%2Bgwlv8%3D";

/// Signed for a key that nobody registered.
pub const OTHER_KEY: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n5&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=nobody&oauth_signature=01dpriTu%2BFBuA61%2BnJMHAUEPS0k%3D";

/// Five minutes and a second old.
pub const LATE: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n6&oauth_timestamp=1795348499&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=%2Fms9VTl2uGQUDwR7kRXvffya1vE%3D";

/// Two minutes ahead.
pub const EARLY: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n7&oauth_timestamp=1795348920&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=p7D%2FzZDCJeu4fMZAMDXu5vIjDRg%3D";

/// At `/lti/launch`, with the lab as a custom parameter.
pub const CUSTOM: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&custom_lab=ping&oauth_nonce=n8&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=hMAecnya9kweBunC29QPaUO37ak%3D";

/// At `/lti/launch`, without a lab.
pub const NO_LAB: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n9&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=3E2BQNVnRZQtpNe8lwT%2Bx3w7xdo%3D";

/// Without a person.
pub const NOBODY: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&user_id=&oauth_nonce=n10&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=yhGFf11MFBkdvsiz61YdgVRC%2B9w%3D";

/// At the lab's UUID, `/lti/labs/6f078019-8f8d-5f5e-af31-f26b0aa098cc`.
pub const BY_UUID: &str = "lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&launch_presentation_return_url=&resource_link_id=lms.example.org-7a&user_id=a1b2c3&roles=Student&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&oauth_nonce=n11&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=cTHvj9cE1Gt8T9gKwHBLUnGDOYU%3D";

/// Open edX's, at `/lti/labs/ping?x=%C3%A9&y=`.
pub const OPEN_EDX_QUERY: &str = "oauth_callback=about%3Ablank&launch_presentation_return_url=&lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&resource_link_id=lms.example.org-7a&tool_consumer_info_product_family_code=Open+edX&user_id=1c1b4a7fe3bd&roles=Student&lis_result_sourcedid=course-v1%253AIMT%2BNET%3Alms.example.org-7a%3A1c1b4a7fe3bd&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&context_label=IMT&lis_outcome_service_url=https%3A%2F%2Flms.example.org%2Foutcome&launch_presentation_locale=fr&custom_note=a%2Bb%3Dc+%26+%C3%A9&custom_empty=&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=4mYJ87WrG20xf77BWtsimMOBZWE%3D&oauth_nonce=oedx1";

/// Open edX's, at `/lti/labs/ping`, signed for `HTTP://LOCALHOST:8080`.
pub const OPEN_EDX: &str = "oauth_callback=about%3Ablank&launch_presentation_return_url=&lti_message_type=basic-lti-launch-request&lti_version=LTI-1p0&resource_link_id=lms.example.org-7a&tool_consumer_info_product_family_code=Open+edX&user_id=1c1b4a7fe3bd&roles=Student&lis_result_sourcedid=course-v1%253AIMT%2BNET%3Alms.example.org-7a%3A1c1b4a7fe3bd&context_id=course-v1%3AIMT%2BNET%2B2026&context_title=R%C3%A9seaux+%26+t%C3%A9l%C3%A9coms&context_label=IMT&lis_outcome_service_url=https%3A%2F%2Flms.example.org%2Foutcome&launch_presentation_locale=fr&custom_note=a%2Bb%3Dc+%26+%C3%A9&custom_empty=&oauth_timestamp=1795348800&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun&oauth_signature=h1ObmlB7kePklVf5FYG4M0dHgu0%3D&oauth_nonce=oedx2";
