"""A learning platform for the tests: Open edX's own LTI consumer (lti-consumer-xblock, from PyPI) with its database, behind a few addresses.

usage: open_edx.py TOOL_URL LAB   (serves until its standard input is closed; prints its address first)

Its own code: launches of both versions, deep linking, access tokens, Assignment and Grade Services, Basic Outcomes. Ours: what the rest of Open edX is to it
(a block, its people, a gradebook), and trouble.

  /begin?user=U     where Open edX sends the learner's browser to begin a launch by LTI 1.3; users that begin with `staff` are staff
  /begin?…&choose=1 the same, for staff to choose what the block launches; …&item=N: of the chosen item at N
  /items            what was chosen: the items that it verified and kept
  /auth             Open edX's answer to the tool's authentication request: the form's fields, as JSON
  /enrol?people=N   has N learners in the course besides ada and Curie, its teacher; NRPS lists them in its own pages
  /keys             its public keys
  /token_url        where it gives access tokens
  /columns          how many columns it has for our block
  /form?url=&user=  a launch by LTI 1.1, as a form's text
  /api/…            its token and grade addresses
  /outcome          its Basic Outcomes
  /gradebook        every score that reached the gradebook, by user, oldest first
  /zero?user=       whether a zero of LTI 1.3 arrived: in the gradebook, or, in releases that publish none, where scores are kept
  /set?…            how it behaves from now on: see `State`
  /ahead?user=&score=&maximum=&seconds=   gives what is stored of a user's score another value, and a time so far from now
"""

import json
import sys
import tempfile
import threading
import time
import types
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from socketserver import ThreadingMixIn
from urllib.parse import parse_qsl, quote, urlencode
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

TOOL, LAB = sys.argv[1], sys.argv[2]
CLIENT, KEY, SECRET = "6f1c8c5e-3c33-4f0e-9f5a-1b1c5f2b7a10", "fun", "0123456789abcdef & accentué"
COURSE = ("course-v1:IMT+NET+2026", "Réseaux & télécoms", "IMT")
BLOCK = "block-v1:IMT+NET+2026+type@lti_consumer+block@7a"


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, lambda environ, start: serve(environ, start), Server, Quiet)
ISSUER = f"http://127.0.0.1:{server.server_port}"

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "lti_consumer"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": f"{tempfile.mkdtemp()}/db",
            "OPTIONS": {"timeout": 20},
        }
    },
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    PLATFORM_NAME="Open edX",
    LMS_ROOT_URL=ISSUER,
    LMS_BASE="localhost",
    USAGE_ID_PATTERN=r"(?P<usage_id>(?:i4x://?[^/]+/[^/]+/[^/]+/[^@]+(?:@[^/]+)?)|(?:[^/]+))",
    FEATURES={},
    MIDDLEWARE=["__main__.signed_in"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    USE_TZ=True,
    ROOT_URLCONF="__main__",
)
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import include, path  # noqa: E402
from lti_consumer import models  # noqa: E402
from lti_consumer.data import Lti1p3LaunchData  # noqa: E402
from lti_consumer.lti_1p1.consumer import LtiConsumer1p1  # noqa: E402
from lti_consumer.outcomes import OutcomeService  # noqa: E402
from lti_consumer.plugin import compat  # noqa: E402
from lti_consumer.utils import get_data_from_cache  # noqa: E402
from opaque_keys.edx.keys import UsageKey  # noqa: E402
from webob import Request  # noqa: E402

urlpatterns = [path("api/", include("lti_consumer.plugin.urls"))]


class State:
    """How the platform behaves: set by /set?name=value."""

    trouble = ""  # of the next `times` requests to its services: 401, 500, html, slow
    times = 0
    past_due = ""  # anything: grades are not accepted any more
    programmatic = ""  # anything: no column is there, tools make their own


gradebook, lock = {}, threading.Lock()


class Block:
    """What the consumer asks of the rest of Open edX about its block."""

    has_score, weight, display_name, start, due = True, 1, "A lab", None, None
    accept_grades_past_due = False
    lti_provider_key_secret = (KEY, SECRET)
    scope_ids = types.SimpleNamespace(usage_id=BLOCK)
    outcome_service_url = f"{ISSUER}/outcome"

    def is_past_due(self):
        return bool(State.past_due)

    def max_score(self):
        return 1

    def get_lti_consumer(self):
        return types.SimpleNamespace(oauth_secret=SECRET)

    def get_lti_1p1_user_from_user_id(self, user):
        return None if user.startswith("gone") else user

    def set_user_module_score(self, user, score, _maximum, _comment=""):
        with lock:
            gradebook.setdefault(user, []).append(score)


compat.load_enough_xblock = compat.load_block_as_user = lambda _location: Block()
compat.get_user_from_external_user_id = lambda user: user

people = {1: ("ada", ["student"]), 2: ("staff-curie", ["staff"])}
compat.get_course_members = lambda _course: {n: {"id": n, "roles": list(roles), "name": user} for n, (user, roles) in people.items()}
compat.merge_course_forum_roles = lambda _course, members: members
compat.batch_get_or_create_externalids = lambda _users: {n: types.SimpleNamespace(external_user_id=user) for n, (user, _) in people.items()}
compat.user_has_studio_write_access = lambda user, _course: user == "an author"


def signed_in(get_response):
    """Whoever comes to its pages by a browser is signed in as an author of the course."""

    def middleware(request):
        request.user = "an author"
        return get_response(request)

    return middleware


def configured():
    """The block's configuration, as its releases keep it: since 10 a passport holds keys and client id."""
    fields = {"version": "lti_1p3", "config_store": "CONFIG_ON_DB", "location": UsageKey.from_string(BLOCK)}
    tool = {"lti_1p3_tool_keyset_url": f"{TOOL}/lti/jwks", "lti_1p3_client_id": CLIENT}
    if hasattr(models, "Lti1p3Passport"):
        fields["lti_1p3_passport"] = models.Lti1p3Passport.objects.create(**tool)
    else:
        fields |= tool
    return models.LtiConfiguration.objects.create(
        lti_advantage_deep_linking_enabled=True,
        lti_advantage_enable_nrps=True,
        lti_advantage_deep_linking_launch_url=f"{TOOL}/lti/launch",
        lti_1p3_oidc_url=f"{TOOL}/lti/login",
        lti_1p3_launch_url=f"{TOOL}/lti/labs/{LAB}",
        lti_1p3_redirect_uris=[f"{TOOL}/lti/launch"],
        **fields,
    )


def consumer():
    return models.LtiConfiguration.objects.get(pk=CONFIG).get_lti_consumer()


def chosen():
    return models.LtiDlContentItem.objects.filter(lti_configuration=CONFIG).order_by("pk")


def items(_):
    return json.dumps([item.attributes for item in chosen()])


def begin(query):
    user = query.get("user", "a5b1f3e2-external-id")
    data = Lti1p3LaunchData(user_id=user, user_role="student", config_id="c", resource_link_id="r", external_user_id=user)
    if "choose" in query:
        data.message_type = "LtiDeepLinkingRequest"
    if "item" in query:
        data.deep_linking_content_item_id = chosen()[int(query["item"])].pk
    return consumer().prepare_preflight_url(data)


def auth(query):
    lti, user = consumer(), query["login_hint"]
    staff = user.startswith("staff")
    lti.set_user_data(user_id=user, role="staff" if staff else "student")
    roles = lti.lti_claim_user_data["https://purl.imsglobal.org/spec/lti/claim/roles"]
    if staff and not any("membership" in role for role in roles):  # releases before 11 say so of the institution only
        roles.append("http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor")
    lti.set_resource_link_claim(BLOCK)
    lti.set_launch_presentation_claim(document_target="iframe")
    launch = get_data_from_cache(query["lti_message_hint"])
    if launch.deep_linking_content_item_id:
        item = chosen().get(pk=launch.deep_linking_content_item_id).attributes
        lti.set_dl_content_launch_parameters(url=item.get("url"), custom=item.get("custom"))
    made = lti.generate_launch_request(query)
    return json.dumps({"redirect_uri": query["redirect_uri"], "id_token": made["id_token"], "state": made["state"]})


def enrol(query):
    people.update({n: (f"learner-{n}", ["student"]) for n in range(3, 3 + int(query["people"]))})
    return ""


def keys(_):
    return json.dumps(consumer().get_public_keyset())


def token_url(_):
    config = models.LtiConfiguration.objects.get(pk=CONFIG)
    # by its passport since 10, by its configuration before
    return f"{ISSUER}/api/lti_consumer/v1/token/{getattr(config, 'passport_id', config.config_id)}"


def columns(_):
    return str(models.LtiAgsLineItem.objects.filter(lti_configuration=CONFIG).count())


def form(query):
    user = query.get("user", "1c1b4a7fe3bd")
    lti = LtiConsumer1p1(query["url"], KEY, SECRET)
    lti.set_user_data(user_id=user, roles="Student", result_sourcedid=f"{quote(COURSE[0])}:{ISSUER[7:]}-7a:{quote(user)}")
    lti.set_context_data(*COURSE)
    lti.set_outcome_service_url(f"{ISSUER}/outcome")
    lti.set_launch_presentation_locale("fr")
    lti.set_custom_parameters({"custom_note": "a+b=c & é", "custom_empty": ""})
    return urlencode(lti.generate_launch_request("lms.example.org-7a"))


def scores(_):
    with lock:
        return json.dumps(gradebook)


def zero(query):
    with lock:
        if 0.0 in gradebook.get(query["user"], []):
            return "published"
    # releases before 11.4.4 take a zero for nothing when they publish
    old = tuple(int(n) for n in version("lti-consumer-xblock").split(".")) < (11, 4, 4)
    kept = models.LtiAgsScore.objects.filter(user_id=query["user"], score_given=0).exists()
    return "kept" if old and kept else ""


def change(query):
    for name, value in query.items():
        setattr(State, name, type(getattr(State, name))(value))
    mode = "programmatic" if State.programmatic else "declarative"
    models.LtiConfiguration.objects.filter(pk=CONFIG).update(lti_advantage_ags_mode=mode)
    return ""


def ahead(query):
    score = models.LtiAgsScore.objects.get(user_id=query["user"])
    at = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=float(query["seconds"]))
    # past its own signals: nobody publishes it
    models.LtiAgsScore.objects.filter(pk=score.pk).update(
        timestamp=at, score_given=float(query["score"]), score_maximum=float(query["maximum"])
    )
    return ""


OURS = {"/begin": begin, "/items": items, "/auth": auth, "/enrol": enrol, "/keys": keys, "/token_url": token_url, "/columns": columns, "/zero": zero, "/form": form, "/gradebook": scores, "/set": change, "/ahead": ahead}
TROUBLE = {
    "401": ("401 Unauthorized", "application/json", "{}"),
    "500": ("500 Internal Server Error", "application/json", "{}"),
    "html": ("200 OK", "text/html", "<!DOCTYPE html><title>Maintenance</title>"),
}


def troubled():
    with lock:
        if State.times <= 0:
            return ""
        State.times -= 1
        return State.trouble


def serve(environ, start):
    route = environ["PATH_INFO"]
    if route in OURS:
        try:
            status, body = "200 OK", OURS[route](dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)))
        except Exception as e:  # whatever Open edX refuses is the test's to read
            status, body = "400 Bad Request", f"{type(e).__name__}: {e}"
        start(status, [("Content-Type", "text/plain")])
        return [body.encode()]
    kind = troubled()
    if kind in TROUBLE:
        status, content, body = TROUBLE[kind]
        start(status, [("Content-Type", content)])
        return [body.encode()]
    if kind == "slow":
        time.sleep(12)  # longer than anybody waits; then it does what it was asked for
    if route == "/outcome":
        body = OutcomeService(Block()).handle_request(Request(environ))
        start("200 OK", [("Content-Type", "application/xml")])
        return [body.encode()]
    return DJANGO(environ, start)


DJANGO = WSGIHandler()
call_command("migrate", verbosity=0, run_syncdb=True)
CONFIG = configured().pk
print(ISSUER, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
