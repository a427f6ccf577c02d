"""The client's form: each state of it, what it takes, and what it leaves alone."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.core import signing
from django.db import OperationalError
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating
from apps.clients.handing_over import pass_on
from apps.clients.models import Client
from apps.core.models import AuditEntry, OutboxMessage
from apps.core.outbox import NothingToSend
from apps.feedback import client_pages, client_views, limits
from apps.feedback.asking import why_not_ask
from apps.feedback.client_frame import SALT, ClientFrame
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.messages import render_feedback_request, token_of
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback, submit_response
from apps.feedback.tokens import make_token
from apps.ruptures.models import Screening
from tests.factories import TherapySessionFactory
from tests.feedback.conftest import ITEMS, answers, link_of

State = FeedbackRequest.State
BY_BROWSERS = "application/x-www-form-urlencoded"


def shown(response: Any) -> str:
    """The page as a person reads it: tags away, white space as one blank."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def everything() -> list[object]:
    """What a client's page could change."""
    models = (FeedbackRequest, AllianceRating, OutboxMessage, Screening, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]


def end(asked: FeedbackRequest, state: str = State.OPEN) -> None:
    asked.state = state
    asked.due_at = timezone.now() - timedelta(days=5)
    asked.expires_at = timezone.now() - timedelta(days=1)
    asked.save()


def test_a_client_answers_without_signing_in_and_is_thanked(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    sent = answers(tension="2", tension_resolved="3", causes=["boundary"], comment="Too fast.")
    response = phone.post(link, sent)
    assert response.status_code == 302
    assert response["Location"] == link + "thanks/"
    rating = AllianceRating.objects.get()
    assert rating.answers == dict.fromkeys(ITEMS, 7)
    assert (rating.pomp, rating.tension, rating.tension_resolved) == (70, 2, 3)
    assert (rating.causes, rating.comment) == (["boundary"], "Too fast.")
    asked.refresh_from_db()
    assert asked.state == State.ANSWERED
    assert Screening.objects.current().get().pomp == 70
    entry = AuditEntry.objects.get(action="record rating")
    assert entry.actor_id is None
    assert "Your answers are saved" in shown(phone.get(response["Location"]))


@pytest.mark.parametrize("path", ["", "thanks/"])
def test_opening_a_link_changes_nothing_and_leaves_no_cookie(
    phone: Browser, link: str, path: str
) -> None:
    before = everything()
    for method in (phone.get, phone.head, phone.options):
        for _ in range(10):
            assert not method(link + path).cookies
    assert everything() == before
    assert not phone.cookies


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_only_get_head_and_post_are_taken(phone: Browser, link: str, method: str) -> None:
    assert getattr(phone, method)(link).status_code == 405


def test_pages_are_neither_stored_nor_indexed_nor_told_to_other_sites(
    phone: Browser, link: str
) -> None:
    for response in (phone.get(link), phone.post(link, {}), phone.get("/f/nothing/")):
        assert response["Cache-Control"] == "no-store"
        assert response["X-Robots-Tag"] == "noindex"
        assert response["Referrer-Policy"] == "same-origin"


def test_the_session_is_named_by_day_and_time_on_the_clients_clock(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    session = asked.therapy_session
    session.starts_at = datetime(2026, 11, 19, 11, 30, tzinfo=UTC)
    session.save()
    client = session.treatment.client
    client.time_zone = "America/New_York"
    client.save()
    assert "Thursday 19 November, 06:30." in shown(phone.get(link))


def states(
    phone: Browser, asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A response for each state of a genuine link."""
    link = link_of(asked)
    pages = {
        "form": phone.get(link),
        "empty": phone.post(link, {}),
        "wrong": phone.post(link, answers(item_heard="11")),
    }
    with monkeypatch.context() as patch:
        patch.setattr(client_views, "submit_response", away)
        pages["not saved"] = phone.post(
            link, answers(frame=hidden(pages["form"], "frame"), comment="Keep me.")
        )
    submit_response(request_id=asked.id, answers={"heard": 7})
    pages["already"] = phone.get(link)
    pages["thanks"] = phone.get(link + "thanks/")
    pages["again"] = phone.post(link, answers(comment="More."))
    asked.refresh_from_db()
    asked.rating = None
    end(asked, State.CANCELLED)
    pages["withdrawn"] = phone.get(link)
    end(asked, State.EXPIRED)
    pages["ended"] = phone.get(link)
    return pages


def away(**_: object) -> None:
    raise OperationalError("the database is away")


def hidden(response: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    assert found
    return found[1]


def test_every_state_shows_crisis_lines_and_an_independent_contact(
    phone: Browser, asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = states(phone, asked, monkeypatch)
    assert len(pages) == 9
    for name, page in pages.items():
        text = page.content.decode()
        assert "Answers are not monitored in real time." in text, name
        for href in ("tel:999", "tel:116123", "tel:111", "tel:02079460018"):
            assert f'href="{href}"' in text, (name, href)
        assert "Ruth Adeyemi does not treat you." in shown(page), name


@pytest.mark.parametrize("contact", [{"name": "Dr Alice  Moreau"}, {"email": "alice"}])
def test_who_treats_the_client_by_now_is_no_contact_and_nothing_more_goes_out(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    alice: Membership,
    contact: dict[str, str],
) -> None:
    """A manager or supervisor who was named, and became a therapist since."""
    assert alice.user is not None
    FeedbackRequest.objects.update(due_at=timezone.now())
    assert render_feedback_request(asked.id)
    practice = asked.practice
    practice.contact_name = contact.get("name", "Reception")
    if "email" in contact:
        practice.contact_email = alice.user.email.replace("@", "+talk@")
    practice.save()
    with pytest.raises(NothingToSend):
        render_feedback_request(asked.id)
    client = Client.objects.get()
    assert "whom clients can turn to" in why_not_ask(client)[0]
    page = phone.get(link)
    assert practice.contact_name not in shown(page)
    assert "does not treat you" not in shown(page)
    assert "tel:116123" in page.content.decode()
    end(asked, State.EXPIRED)
    assert "Send a fresh link" not in shown(phone.get(link))
    practice.contact_name, practice.contact_email = "Ruth Adeyemi", ""
    practice.save()
    assert "Send a fresh link" in shown(phone.get(link)), "with somebody independent again"


def test_whoever_treats_the_client_since_is_no_contact_on_an_earlier_link(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    practice: Practice,
    charlie: Membership,
) -> None:
    practice.contact_name, practice.contact_email = charlie.name, ""
    practice.save()
    assert f"{charlie.name} does not treat you" in shown(phone.get(link))
    asked_in = asked.therapy_session.treatment
    pass_on(asked_in, to=charlie, on=timezone.localdate(), by=charlie)
    page = shown(phone.get(link))
    assert charlie.name not in page
    assert "does not treat you" not in page
    assert "tel:116123" in phone.get(link).content.decode()


@pytest.mark.parametrize(
    ("country", "number"), [("DE", "tel:08001110111"), ("ZZ", "tel:116123"), ("US", "tel:988")]
)
def test_crisis_lines_are_those_of_the_clients_country_else_the_practices(
    phone: Browser, asked: FeedbackRequest, link: str, country: str, number: str
) -> None:
    client = asked.therapy_session.treatment.client
    client.country = country
    client.save()
    assert f'href="{number}"' in phone.get(link).content.decode()


def test_nothing_is_preselected_and_whom_to_tell_stands_beside_a_crossed_line(
    phone: Browser, link: str
) -> None:
    page = phone.get(link)
    text = page.content.decode()
    assert " checked" not in text
    note = "Your therapist will see this. To tell someone else: Ruth Adeyemi,"
    assert note in shown(page)
    boundary = re.search(r'<input[^>]*value="boundary"[^>]*>', text)
    described = boundary and re.search(r'aria-describedby="([^"]+)"', boundary[0])
    assert described
    assert f'id="{described[1]}"' in text


def test_an_email_address_is_offered_where_the_contact_has_no_phone(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    asked.practice.contact_phone = ""
    asked.practice.save()
    tell = shown(phone.get(link)).partition("To tell someone else:")[2]
    assert tell.strip().startswith("Ruth Adeyemi, ruth@fernbank.example")


@pytest.mark.parametrize(
    "sent", [{"item_heard": "0"}, {"tension": "0"}, {"causes": ["life_change"]}, {"comment": "Hm."}]
)
def test_any_one_answer_is_enough(phone: Browser, link: str, sent: dict[str, object]) -> None:
    assert phone.post(link, sent).status_code == 302
    assert AllianceRating.objects.get().pomp is None


@pytest.mark.parametrize("sent", [{}, {"comment": "  \r\n\0"}, {"tension_resolved": "3"}])
def test_an_empty_form_gets_a_kind_word_and_stores_nothing(
    phone: Browser, link: str, sent: dict[str, object]
) -> None:
    response = phone.post(link, sent)
    assert "Nothing is answered yet. Answer whatever you like" in shown(response)
    assert not AllianceRating.objects.exists()


@pytest.mark.parametrize("tension", ["0", ""])
def test_how_far_it_was_sorted_out_counts_only_after_some_tension(
    phone: Browser, link: str, tension: str
) -> None:
    phone.post(link, answers(tension=tension, tension_resolved="1"))
    assert AllianceRating.objects.get().tension_resolved is None


def test_a_comment_may_have_5000_characters_with_line_ends_as_one(
    phone: Browser, link: str
) -> None:
    phone.post(link, {"comment": "a\r\n" * 2499 + "👩‍👩‍👧"[:2]})
    assert AllianceRating.objects.get().comment == "a\n" * 2499 + "👩‍👩‍👧"[:2]


def test_a_longer_comment_is_kept_on_the_page_with_all_other_answers(
    phone: Browser, link: str
) -> None:
    page = phone.post(link, answers(comment="ü" * 5001, causes=["values"], tension="3"))
    assert "Your text has 5001 characters; 5000 fit." in shown(page)
    text = page.content.decode()
    assert "ü" * 5001 in text
    assert len(re.findall(r"<input[^>]* checked", text)) == 6 + 2
    assert not AllianceRating.objects.exists()


def test_nul_is_left_out_and_every_other_sign_kept(phone: Browser, link: str) -> None:
    phone.post(link, {"comment": "a\0b 😀 <b>&amp; العربية"})
    assert AllianceRating.objects.get().comment == "ab 😀 <b>&amp; العربية"


def test_what_the_form_does_not_ask_is_ignored_and_of_repeated_answers_the_last_counts(
    phone: Browser, link: str
) -> None:
    phone.post(
        link,
        {
            "item_heard": ["1", "9"],
            "causes": ["values", "values", "misunderstanding"],
            "pomp": "100",
            "item_invented": "3",
            "answers": "{}",
        },
    )
    rating = AllianceRating.objects.get()
    assert rating.answers == {"heard": 9}
    assert rating.causes == ["misunderstanding", "values"]
    assert rating.pomp is None


@pytest.mark.parametrize("value", ["11", "-1", "7.5", "seven", "\0", "٣", "9" * 400])
def test_an_answer_off_the_scale_is_asked_for_again_and_the_rest_kept(
    phone: Browser, link: str, value: str
) -> None:
    page = phone.post(link, answers(item_heard=value, comment="Keep me."))
    assert page.status_code == NOT_KEPT
    assert "This answer did not arrive as one of the choices." in shown(page)
    assert "Keep me." in shown(page)
    assert len(re.findall(r"<input[^>]* checked", page.content.decode())) == 5
    assert not AllianceRating.objects.exists()


def test_the_first_answers_count_and_later_ones_are_not_added(phone: Browser, link: str) -> None:
    phone.post(link, answers(comment="First."))
    again = phone.post(link, answers(item_heard="0", comment="Second."))
    assert again.status_code == 200
    assert "What you sent just now was not added." in shown(again)
    assert "Second." in again.content.decode()
    assert AllianceRating.objects.get().comment == "First."
    opened = phone.get(link)
    assert "We already have your answers" in shown(opened)
    assert "was not added" not in shown(opened)


@pytest.mark.parametrize("state", [State.OPEN, State.EXPIRED, State.CANCELLED])
def test_a_link_whose_time_is_over_says_so_and_hands_the_text_back(
    phone: Browser, asked: FeedbackRequest, link: str, state: str
) -> None:
    end(asked, state)
    assert "This link has ended" in shown(phone.get(link))
    page = phone.post(link, answers(comment="Too late."))
    assert "What you sent just now was not added." in shown(page)
    assert "Too late." in page.content.decode()
    assert not AllianceRating.objects.exists()


def test_thanks_are_given_only_for_stored_answers(phone: Browser, link: str) -> None:
    response = phone.get(link + "thanks/")
    assert (response.status_code, response["Location"]) == (302, link)


@pytest.mark.parametrize("once", ["", "a name that is no more known"])
def test_nothing_is_given_back_of_a_form_of_which_nobody_knows_whether_it_was_shown(
    phone: Browser, link: str, once: str
) -> None:
    """Of before pages had names, or sent weeks after it was opened; what can be taken is."""
    opened = timezone.now() - timedelta(days=8 if once else 0)
    with time_machine.travel(opened, tick=False):
        frame = signing.dumps(asdict(ClientFrame(once=once)), salt=SALT + link, compress=True)
    page = phone.post(link, answers(comment="x" * 5001, frame=frame))
    assert "xxx" not in shown(page)
    assert "What you sent is shown once" in shown(page)
    assert phone.post(link, answers(comment="xxx", frame=frame)).status_code == 302


@pytest.mark.parametrize(
    ("value", "is_given_back"), [("email", True), ("words of another site", False)]
)
def test_a_choice_is_sent_again_and_nothing_that_is_called_one(
    phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch, value: str, is_given_back: bool
) -> None:
    monkeypatch.setattr(limits, "seconds_to_wait", lambda *_: 60)
    page = phone.post(f"{link}stop/", {"how": value})
    assert page.status_code == 429
    assert (value in page.content.decode()) is is_given_back


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_that_breaks_off_half_way_is_not_taken_for_a_whole_one(
    asked: FeedbackRequest, phone: Browser, link: str, kind: str
) -> None:
    """The first answer counts: what did not arrive could never be sent again."""
    fields = answers(comment="He was late. " * 20, frame=hidden(phone.get(link), "frame"))
    sent = RequestFactory().post(link, fields)
    if kind != sent.content_type:
        sent = RequestFactory().post(link, urlencode(fields, doseq=True), content_type=kind)
    body = sent.body
    for arrived, status in ((body[: len(body) // 2], 400), (body, 302)):
        coming = {"wsgi.input": import_string("config.wsgi.WholeBody")(BytesIO(arrived))}
        page = phone.generic("POST", link, body, sent.headers["Content-Type"], **coming)
        assert page.status_code == status
        assert AllianceRating.objects.exists() is (status == 302)


@pytest.mark.parametrize("whose", ["this link's", "another link's", "made up"])
def test_no_page_shows_words_of_another_sites_form(
    phone: Browser, link: str, alice: Membership, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Who opened a form once has a frame of ours. This link's words are given back."""
    opened = link
    if whose == "another link's":
        session = TherapySessionFactory.create(treatment__therapist=alice)
        opened = link_of(request_feedback(
            therapy_session=session, questionnaire=practice_questionnaire(alice.practice),
            channel_kind="email", by=None,
        ))  # fmt: skip
    frame = "made up" if whose == "made up" else hidden(phone.get(opened), "frame")
    sent = answers(comment="Ring this number", frame=frame)
    monkeypatch.setattr(limits, "seconds_to_wait", lambda *_: 60)
    page = phone.post(link, sent)
    assert page.status_code == 429
    assert ("Ring this number" in page.content.decode()) is (whose == "this link's")


def test_while_the_database_is_away_the_page_keeps_what_was_typed_and_sends_it_again(
    phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = answers(
        tension="4", causes=["values", "boundary"], comment="One\nTwo <i>",
        frame=hidden(phone.get(link), "frame"),
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(client_views, "submit_response", away)
        page = phone.post(link, sent)
    assert page.status_code == 503
    assert "Not saved yet" in shown(page)
    assert not AllianceRating.objects.exists()
    kept: dict[str, list[str]] = {"comment": ["One\nTwo <i>"]}
    assert "One\nTwo &lt;i&gt;</textarea>" in page.content.decode()
    for name, value in re.findall(
        r'type="hidden" name="([^"]*)" value="([^"]*)"', page.content.decode()
    ):
        kept.setdefault(name, []).append(value)
    assert phone.post(link, kept).status_code == 302
    rating = AllianceRating.objects.get()
    assert rating.answers == dict.fromkeys(ITEMS, 7)
    assert (rating.tension, rating.causes) == (4, ["values", "boundary"])
    assert rating.comment == "One\nTwo <i>"


def test_a_form_that_cannot_be_opened_says_so_with_lines_that_help_anywhere(
    phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_pages, "find_link", lambda *_, **how: away())
    page = phone.get(link)
    assert page.status_code == 503
    assert "The link still works" in shown(page)
    assert "findahelpline.com" in shown(page)


def test_a_fault_of_ours_keeps_the_text_and_the_lines(
    phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError

    frame = hidden(phone.get(link), "frame")
    monkeypatch.setattr(client_views, "submit_response", broken)
    phone.raise_request_exception = False
    page = phone.post(link, answers(comment="Keep me.", frame=frame))
    assert page.status_code == 500
    assert (page["Cache-Control"], page["X-Robots-Tag"]) == ("no-store", "noindex")
    assert "Keep me." in shown(page)
    assert "Ruth Adeyemi" in shown(page)
    assert 'href="tel:116123"' in page.content.decode()


def test_a_fault_before_any_page_was_chosen_keeps_the_text_as_well(
    as_alice: Browser, phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = hidden(phone.get(link), "frame")

    def broken(*_: object, **__: object) -> None:
        raise OperationalError

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", broken)
    as_alice.raise_request_exception = False
    page = as_alice.post(link, answers(comment="Keep me.", frame=frame))
    assert page.status_code == 500
    assert "Keep me." in shown(page)
    assert "Ruth Adeyemi" in shown(page)


def test_a_forged_frame_names_nobody(
    phone: Browser, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_views, "submit_response", away)
    page = phone.post(link, answers(frame="eyJjb250YWN0X25hbWUiOiJNYWxsb3J5In0:x:y"))
    assert page.status_code == 503
    assert "Mallory" not in shown(page)
    assert "findahelpline.com" in shown(page)


def test_a_mebibyte_of_emoji_comes_back_with_all_answers_and_a_shorter_text_is_taken(
    phone: Browser, link: str
) -> None:
    typed = "😀" * (1024 * 1024 // 4)
    sent = answers(
        item_heard=["1", "9"], comment=typed + "\0", causes=["values"] * 2, pomp="100",
        frame=hidden(phone.get(link), "frame"),
        **{f"invented_{n}": "x" for n in range(900)},
    )  # fmt: skip
    page = phone.post(link, urlencode(sent, doseq=True), content_type=BY_BROWSERS)
    assert page.status_code == NOT_KEPT
    assert f"Your text has {len(typed)} characters; 5000 fit." in shown(page)
    assert typed in page.content.decode()
    assert len(re.findall(r"<input[^>]* checked", page.content.decode())) == 6 + 1
    assert not AllianceRating.objects.exists()
    sent["comment"] = typed[:5000]
    phone.post(link, urlencode(sent, doseq=True), content_type=BY_BROWSERS)
    rating = AllianceRating.objects.get()
    assert (rating.comment, rating.causes) == (typed[:5000], ["values"])
    assert rating.answers == dict.fromkeys(ITEMS, 7) | {"heard": 9}


@pytest.mark.parametrize(
    ("sent", "content_type"),
    [
        (urlencode({"comment": "x" * 5_000_000}), BY_BROWSERS),
        (urlencode({f"invented_{n}": "x" for n in range(1001)}), BY_BROWSERS),
        ("x", "multipart/form-data"),
    ],
    ids=["too long", "too many", "broken"],
)
def test_what_no_form_of_ours_sends_is_refused_with_a_word_and_the_lines(
    phone: Browser, link: str, sent: str, content_type: str
) -> None:
    page = phone.post(link, sent, content_type=content_type)
    assert page.status_code == 400
    assert page["Cache-Control"] == "no-store"
    assert "That was more than we can take." in shown(page)
    assert "findahelpline.com" in shown(page)


def test_an_address_with_a_query_that_cannot_be_read_is_the_one_without_it(
    phone: Browser, link: str
) -> None:
    many = "?" + "&".join(["a"] * 1001)
    assert phone.get(f"/f/x/{many}").content == phone.get("/f/x/").content
    page = phone.get(link + many)
    assert page.status_code == NOT_KEPT
    assert page["Cache-Control"] == "no-store"
    assert "tel:116123" in page.content.decode()
    assert phone.post(link + many, answers(comment="Long words.")).status_code == 302
    assert AllianceRating.objects.get().comment == "Long words."


def test_an_address_with_a_line_break_is_an_unknown_link_too(phone: Browser) -> None:
    assert phone.get("/f/x%0Ay/z%0Aw/").content == phone.get("/f/x/").content


def test_all_unknown_links_get_the_same_bytes(phone: Browser, asked: FeedbackRequest) -> None:
    genuine = token_of(asked)
    forged = genuine[:-1] + ("A" if genuine[-1] != "A" else "B")
    other = make_token(asked.id, generation=asked.generation + 1)
    missing = make_token(asked.therapy_session_id, generation=0)
    thanks = reverse("feedback_thanks", args=[forged])
    addresses = [
        *(reverse("feedback_form", args=[token]) for token in (forged, other, missing, "x", "…")),
        f"/f/{genuine}/{genuine}/",
        "/f/",
    ]
    pages = [phone.get(address) for address in (*addresses, thanks)]
    pages += [phone.post(address, answers()) for address in addresses]
    pages[0].content.decode().index("This link does not work")
    assert {page.status_code for page in pages} == {404}
    assert len({page.content for page in pages}) == 1
    assert not AllianceRating.objects.exists()


def test_a_link_without_its_last_slash_still_opens_the_form(phone: Browser, link: str) -> None:
    response = phone.get(link.rstrip("/"), follow=True)
    assert "How was this session for you?" in shown(response)


def test_a_therapist_signed_in_on_the_same_device_leaves_no_trace_on_the_page(
    as_alice: Browser, phone: Browser, link: str
) -> None:
    def without_frame(response: Any) -> str:
        return re.sub(r'name="frame" value="[^"]*"', "", response.content.decode())

    assert without_frame(as_alice.get(link)) == without_frame(phone.get(link))
