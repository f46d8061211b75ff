"""Launches by LTI 1.1, signed by others than Open edX: `lti` (what many small platforms and test tools use) and `oauthlib` alone.

usage: signers.py lti|oauthlib URL KEY SECRET < FORM   (FORM: JSON, field names and values; prints the form as a browser posts it)
"""

import json
import sys
from urllib.parse import urlencode

who, url, key, secret = sys.argv[1:]
form = {"lti_message_type": "basic-lti-launch-request", "lti_version": "LTI-1p0", **json.load(sys.stdin)}

if who == "lti":
    from lti import ToolConsumer

    custom = {name: form.pop(name) for name in list(form) if name.startswith("custom_")}
    consumer = ToolConsumer(key, secret, params={**form, "launch_url": url})
    for name, value in custom.items():
        consumer.set_custom_param(name.removeprefix("custom_"), value)
    print(urlencode(consumer.generate_launch_data(), doseq=True))
elif who == "oauthlib":
    from oauthlib.oauth1 import SIGNATURE_TYPE_BODY, Client

    client = Client(key, client_secret=secret, signature_type=SIGNATURE_TYPE_BODY)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    print(client.sign(url, http_method="POST", body=urlencode(form), headers=headers)[2])
else:
    sys.exit(__doc__)
