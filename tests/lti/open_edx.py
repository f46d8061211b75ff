"""A learning platform for the tests: Open edX's own LTI consumer (lti-consumer-xblock, from PyPI) behind a few addresses.

usage: open_edx.py TOOL_URL LAB   (serves until its standard input is closed; prints its address first)

  /begin   where Open edX sends the learner's browser to begin a launch by LTI 1.3
  /auth    Open edX's answer to the tool's authentication request: the form's fields, as JSON
  /keys    its public keys
  /form    a launch by LTI 1.1, as a form's text
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import django
from django.conf import settings

TOOL, LAB = sys.argv[1], sys.argv[2]
CLIENT, KEY, SECRET = "6f1c8c5e-3c33-4f0e-9f5a-1b1c5f2b7a10", "fun", "0123456789abcdef & accentué"
COURSE = ("course-v1:IMT+NET+2026", "Réseaux & télécoms", "IMT")

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "lti_consumer"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="of a test",
    PLATFORM_NAME="Open edX",
    LMS_ROOT_URL="http://localhost",
    LMS_BASE="localhost",
    FEATURES={},
    USE_TZ=True,
    ROOT_URLCONF="lti_consumer.plugin.urls",
)
django.setup()

from Cryptodome.PublicKey import RSA  # noqa: E402
from lti_consumer.data import Lti1p3LaunchData  # noqa: E402
from lti_consumer.lti_1p1.consumer import LtiConsumer1p1  # noqa: E402
from lti_consumer.lti_1p3.consumer import LtiAdvantageConsumer  # noqa: E402


class Platform(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        try:
            status, body = 200, {"/begin": begin, "/auth": auth, "/keys": keys, "/form": form}[url.path](query)
        except Exception as e:  # whatever Open edX refuses is the test's to read
            status, body = 400, f"{type(e).__name__}: {e}"
        body = body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def consumer(user="a5b1f3e2-external-id", role="student"):
    lti = LtiAdvantageConsumer(
        iss=ISSUER,
        lti_oidc_url=f"{TOOL}/lti/login",
        lti_launch_url=f"{TOOL}/lti/labs/{LAB}",
        client_id=CLIENT,
        deployment_id="1",
        rsa_key=RSA_KEY,
        rsa_key_id="edx-1",
        redirect_uris=[f"{TOOL}/lti/launch"],
    )
    lti.set_user_data(user_id=user, role=role)
    lti.set_resource_link_claim("block-v1:IMT+NET+2026+type@lti_consumer+block@7a")
    lti.set_launch_presentation_claim(document_target="iframe")
    return lti


def begin(_):
    data = Lti1p3LaunchData(
        user_id="1", user_role="student", config_id="c", resource_link_id="r", external_user_id="a5b1f3e2-external-id"
    )
    return consumer().prepare_preflight_url(data)


def auth(query):
    made = consumer().generate_launch_request(query)
    return json.dumps({"redirect_uri": query["redirect_uri"], "id_token": made["id_token"], "state": made["state"]})


def keys(_):
    return json.dumps(consumer().get_public_keyset())


def form(query):
    lti = LtiConsumer1p1(query["url"], KEY, SECRET)
    lti.set_user_data(user_id="1c1b4a7fe3bd", roles="Student", result_sourcedid="x:y:z")
    lti.set_context_data(*COURSE)
    lti.set_outcome_service_url("http://localhost/outcome")
    lti.set_launch_presentation_locale("fr")
    lti.set_custom_parameters({"custom_note": "a+b=c & é", "custom_empty": ""})
    return urlencode(lti.generate_launch_request("lms.example.org-7a"))


RSA_KEY = RSA.generate(2048).export_key().decode()
server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
ISSUER = f"http://127.0.0.1:{server.server_port}"
print(ISSUER, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
