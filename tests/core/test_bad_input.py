"""What an attacker sends: refused, and nothing is given away."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse
from django.utils.module_loading import import_string
from fido2 import cbor

from apps.accounts.models import Membership
from tests.accounts.conftest import enrol, enter, is_in
from tests.conftest import signed_in
from tests.factories import PASSWORD
from tests.feedback.test_tokens import PRODUCTION


def test_production_has_no_development_pages() -> None:
    """And it has all the others."""
    asked = (
        "import django; django.setup()\n"
        "from django.urls import resolve, Resolver404\n"
        "for path in ('/dev/outbox/', '/styleguide/', '/admin/', '/__debug__/', '/caseload/'):\n"
        "    try: print(path, resolve(path).url_name)\n"
        "    except Resolver404: print(path, 'nothing')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | PRODUCTION | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "/dev/outbox/ nothing",
        "/styleguide/ nothing",
        "/admin/ nothing",
        "/__debug__/ nothing",
        "/caseload/ caseload",
    ]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a b", "[::1"])
def test_a_host_that_is_not_ours_gets_nothing(client: Browser, host: str) -> None:
    for path in ("/sign-in/", "/f/x/", "/healthz/"):
        response = client.get(path, HTTP_HOST=host)
        assert response.status_code == 400
        assert host not in response.content.decode()


@pytest.mark.parametrize(
    "claim",
    [
        "; Charset=hex; x=y",
        "; charset=utf-7",
        "; charset=UTF-16",
        "; charset=utf-8",
        "; charset =hex",
        "; charset*=utf-8''hex",
        "; charset*0=hex",
        '; charset=x";"; charset =hex',
        '; boundary="x;charset=hex"; charset=hex',
    ],
)
def test_every_request_is_read_as_utf_8_whatever_it_claims(db: None, claim: str) -> None:
    def answer(environ: dict[str, Any], start: Callable[[str, Any], None]) -> list[bytes]:
        request = WSGIRequest(environ)
        start("200 OK", [])
        return [f"{request.GET['q']} {request.POST['name']} {request.content_type}".encode()]

    body = b"name=L%C3%B3pez"
    environ = RequestFactory().generic("POST", "/?q=%C3%A4%FF", body).environ
    environ["CONTENT_TYPE"] = f"application/x-www-form-urlencoded{claim}"
    in_utf8 = import_string("config.wsgi.in_utf8")
    [said] = in_utf8(answer)(environ, lambda status, headers: None)
    assert said.decode() == "ä\ufffd López application/x-www-form-urlencoded"
    parts = RequestFactory().post("/?q=%C3%A4%FF", {"name": "López"}).environ
    parts["CONTENT_TYPE"] += claim
    [said] = in_utf8(answer)(parts, lambda status, headers: None)
    assert said.decode() == "ä\ufffd López multipart/form-data"


@pytest.mark.parametrize("length", [None, ""])
def test_what_comes_without_a_length_is_read_to_its_end(db: None, length: str | None) -> None:
    """A mail program's one-click that was taken for empty would stop nothing."""

    def answer(environ: dict[str, Any], _: Callable[[str, Any], None]) -> list[bytes]:
        return [WSGIRequest(environ).POST["List-Unsubscribe"].encode()]

    environ = RequestFactory().post("/", {"List-Unsubscribe": "One-Click"}).environ
    del environ["CONTENT_LENGTH"]
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    environ |= {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(environ["wsgi.input"].read()),
    }
    in_whole = import_string("config.wsgi.in_whole")
    assert in_whole(answer)(environ, lambda status, headers: None) == [b"One-Click"]


WRITTEN = "She told me about the assault."


def a_form_of_before_the_sign_out(browser: Browser) -> Any:
    return browser.post("/clients/add/", {"comment": WRITTEN})


def a_form_to_no_page(browser: Browser) -> Any:
    token = browser.get("/sign-in/").context["csrf_token"]
    return browser.post("/nothing/", {"comment": WRITTEN, "csrfmiddlewaretoken": token})


def a_form_of_a_host_that_is_not_ours(browser: Browser) -> Any:
    return browser.post("/clients/add/", {"comment": WRITTEN}, HTTP_HOST="evil.example")


@pytest.mark.parametrize(
    ("send", "status"),
    [
        (a_form_of_before_the_sign_out, 403),
        (a_form_to_no_page, 404),
        (a_form_of_a_host_that_is_not_ours, 400),
    ],
)
def test_nothing_is_handed_back_and_kept_by_no_browser_where_nobody_is_signed_in(
    db: None, send: Callable[[Browser], Any], status: int
) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.get("/sign-in/")
    answer = send(browser)
    assert answer.status_code == status
    assert WRITTEN not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


def test_no_browser_keeps_what_a_fault_of_ours_hands_back_to_nobody_known(
    as_alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails before anybody is looked up."""
    monkeypatch.setattr("apps.accounts.middleware.end_if_over", None)
    as_alice.raise_request_exception = False
    answer = as_alice.post("/clients/add/", {"comment": WRITTEN})
    assert answer.status_code == 500
    assert WRITTEN in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


def test_static_files_are_kept(db: None, client: Browser) -> None:
    answer = client.get("/static/img/favicon.svg")
    assert answer.status_code == 200
    assert "public" in answer["Cache-Control"]
    answer.close()


def test_a_forwarded_host_is_not_believed(client: Browser) -> None:
    response = client.get("/caseload/", HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil.example" not in str(response.headers) + response.content.decode()


@pytest.mark.parametrize(
    "there",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "http:evil.example",
        "/\\evil.example",
        "http://testserver@evil.example/",
        "javascript:alert(1)",
        "\x01//evil.example",
    ],
)
def test_nobody_is_led_to_another_site(as_alice: Browser, there: str) -> None:
    response = as_alice.post(reverse("theme"), {"theme": "dark", "next": there})
    assert response["Location"] == "/"
    came = as_alice.get(reverse("login"), {"next": there}, follow=True)
    assert all("evil" not in url for url, _ in came.redirect_chain)


@pytest.mark.parametrize("there", ["abc", "logout", "a.b", "?x"])
def test_a_bare_word_leads_to_no_page_of_that_name(as_alice: Browser, there: str) -> None:
    response = as_alice.post(reverse("theme"), {"theme": "dark", "next": there})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_nobody_who_came_by_https_is_led_on_without(as_alice: Browser) -> None:
    there = "http://testserver/account/"
    sent = {"theme": "dark", "next": there}
    assert as_alice.post(reverse("theme"), sent, secure=True)["Location"] == "/"
    assert as_alice.post(reverse("theme"), sent)["Location"] == there
    signed_in = as_alice.get(reverse("login"), {"next": there}, secure=True)
    assert signed_in["Location"] == "/"


def test_no_header_can_be_slipped_in(as_alice: Browser) -> None:
    response = as_alice.post(
        reverse("theme"), {"theme": "dark", "next": "/a\r\nSet-Cookie: stolen=1"}
    )
    assert response["Location"] == "/a%0D%0ASet-Cookie:%20stolen=1"
    assert "stolen" not in response.cookies


def sign_in(browser: Browser, email: str) -> None:
    browser.post(reverse("login"), {"username": email, "login": email, "password": PASSWORD})


def test_a_session_known_before_signing_in_is_not_the_one_afterwards(
    client: Browser, alice: Membership
) -> None:
    assert alice.user
    session = client.session
    session["planted"] = True
    session.save()
    known = client.cookies[settings.SESSION_COOKIE_NAME].value
    sign_in(client, alice.user.email)
    assert client.get("/caseload/").status_code == 200
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != known
    stranger = Browser()
    stranger.cookies[settings.SESSION_COOKIE_NAME] = known
    assert stranger.get("/caseload/").status_code == 302


@pytest.mark.parametrize(
    "value",
    ["", "x" * 32, "x" * 5000, "';--", "é", "../../etc/passwd", "nothing\0more", "\xff" * 9],
)
@pytest.mark.parametrize("name", ["SESSION", "KNOWN_BROWSER"])
def test_a_made_up_cookie_is_no_cookie(client: Browser, db: None, name: str, value: str) -> None:
    client.cookies[getattr(settings, f"{name}_COOKIE_NAME")] = value
    assert client.get("/caseload/").status_code == 302
    assert client.get("/healthz/").status_code == 200
    assert client.get("/f/nothing/").status_code == 404
    assert client.post("/sign-in/", {"username": "a@b.example", "password": "?"}).status_code == 200


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(
    client: Browser, alice: Membership
) -> None:
    assert alice.user
    client.get(reverse("login"))
    sign_in(client, alice.user.email)
    assert len(client.cookies) == 2
    for cookie in client.cookies.values():
        assert cookie["httponly"], cookie.key
        assert cookie["samesite"] == "Lax", cookie.key


def test_a_stale_form_hands_back_text_but_no_password(alice: Membership) -> None:
    assert alice.user
    browser = Browser(enforce_csrf_checks=True)
    browser.cookies = signed_in(alice).cookies
    typed, hidden = "long words " * 5, "hush and silence " * 3
    sent = {"comment": typed, "password1": hidden}
    sent["csrfmiddlewaretoken"] = str(browser.get("/account/").context["csrf_token"])
    browser.cookies = signed_in(alice).cookies
    page = browser.post("/clients/add/", sent)
    assert page.status_code == 403
    assert b"long words" in page.content
    assert b"hush" not in page.content


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_body_that_is_no_form_is_no_server_error_at_an_address_that_is_none(
    client: Browser, as_alice: Browser, kind: str
) -> None:
    for browser in (client, as_alice):
        assert browser.post("/nothing/", b"abc", content_type=kind).status_code == 404


def test_a_form_of_too_many_fields_from_another_site_is_refused_as_any_other() -> None:
    stranger = Browser(enforce_csrf_checks=True)
    fields = {f"field{number}": "x" for number in range(1001)}
    sent = stranger.post("/sign-in/", fields, headers={"Origin": "https://evil.example"})
    assert sent.status_code == 403


def test_a_file_that_nobody_asked_for_is_read_past_in_pieces_and_stored_nowhere() -> None:
    sent = {"email": "a@x.example", "file": SimpleUploadedFile("big", b"x" * 3_000_000)}
    request = RequestFactory().post("/sign-in/", sent)
    read, pieces = request.read, []
    request.read = lambda size=-1: (pieces.append(size), read(size))[1]
    assert request.POST["email"] == "a@x.example"
    assert not request.FILES
    assert {0 < size <= 64 * 1024 for size in pieces} == {True}


NO_ANSWERS = (
    *("1", '"\\ud800"', '{"id": 1}', '{"id": "\\u0000"}', "[" * 3_000, "9" * 5_000),
    '{"id": "\\ud800", "rawId": "\\ud800"}',
)


def in_base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def answer_of_a_key(said: dict[str, Any], response: dict[str, bytes], **also: str) -> str:
    """What a browser hands on of a security key, and what else somebody wrote into it."""
    parts = {"clientDataJSON": json.dumps(said).encode(), **response}
    ids = {"id": "aWQ", "rawId": "aWQ", "type": "public-key"}
    return json.dumps(ids | {"response": {k: in_base64(v) for k, v in parts.items()}} | also)


def test_what_no_security_key_answers_signs_nobody_in(alice: Membership) -> None:
    enrol(alice)
    half = Browser()
    enter(half, alice)
    half.get("/sign-in/second-step/")
    signed = {"authenticatorData": bytes(37), "signature": b"?"}
    from_nowhere = answer_of_a_key({"type": "webauthn.get", "challenge": "", "origin": 1}, signed)
    for answer in (*NO_ANSWERS, from_nowhere):
        page = half.post("/sign-in/second-step/", {"credential": answer})
        assert (page.status_code, is_in(half)) == (200, False), answer[:40]


def test_what_no_security_key_answers_is_added_as_none_and_proves_nothing(
    as_alice: Browser,
) -> None:
    as_alice.post("/sign-in/again/", {"password": PASSWORD})

    def add(answer: str) -> int:
        return as_alice.post("/account/keys/add/", {"credential": answer}).status_code

    def made(key: bytes = cbor.encode({3: -7}), **also: str) -> str:
        as_alice.get("/account/keys/add/")
        asked = as_alice.session["mfa.webauthn.state"]["challenge"]
        said = {"type": "webauthn.create", "challenge": asked, "origin": "https://testserver"}
        about = sha256(b"testserver").digest() + b"\x45" + bytes(20) + b"\0\2id" + key
        attested = {"fmt": "none", "attStmt": {}, "authData": about}
        return answer_of_a_key(said, {"attestationObject": cbor.encode(attested)}, **also)

    for answer in NO_ANSWERS:
        assert add(answer) == 200, answer[:40]
    for key in (b"\x19", b"\x81" * 2_000, cbor.encode(1)):
        assert add(made(key)) == 200, key[:9]
    assert add(made(unknown="\0")) == 200
    assert not Authenticator.objects.exists()
    assert add(made()) == 302
    assert Authenticator.objects.filter(type="webauthn").exists()
    for answer in NO_ANSWERS:
        page = as_alice.post("/sign-in/again/key/", {"credential": answer})
        assert (page.status_code, page["Location"]) == (302, "/sign-in/"), answer[:40]
