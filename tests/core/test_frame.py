"""What stands around every page."""

from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from tests.factories import TreatmentFactory


def current(page: str) -> str:
    """Label of the entry of the navigation that is marked as where one is; '' for none."""
    _, _, rest = page.partition('aria-current="page"')
    return rest.partition("</a>")[0].rpartition(">")[2].strip()


def test_a_clients_page_belongs_to_the_caseload(as_alice: Browser, alice: Membership) -> None:
    treatment: Treatment = TreatmentFactory.create(therapist=alice)
    page = as_alice.get(reverse("client", args=[treatment.client_id])).content.decode()
    assert current(page) == "Caseload"


def test_a_page_that_was_not_found_leads_home(as_sam: Browser) -> None:
    page = as_sam.get("/no-such-page/")
    assert page.status_code == 404
    assert f'href="{reverse("home")}"' in page.content.decode()
    assert as_sam.get(reverse("home"), follow=True).status_code == 200


def test_the_theme_stays_and_leads_back(as_alice: Browser, alice: Membership) -> None:
    response = as_alice.post(reverse("theme"), {"theme": "dark", "next": "/caseload/?q=x"})
    assert response.url == "/caseload/?q=x"
    assert 'data-bs-theme="dark"' in as_alice.get(response.url).content.decode()


def test_a_theme_leads_to_no_other_house(as_alice: Browser, alice: Membership) -> None:
    for elsewhere in ("https://example.org/", "//example.org/", "javascript:alert(1)"):
        response = as_alice.post(reverse("theme"), {"theme": "plaid", "next": elsewhere})
        assert response.url == "/"
    assert alice.user
    alice.user.refresh_from_db()
    assert alice.user.theme == "auto"


def test_a_page_that_answers_a_post_leads_home_after_a_change_of_theme(
    as_alice: Browser, alice: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    url = reverse("record_outcome", args=[treatment.episodes.get().id])
    page = as_alice.post(url, {}).content.decode()
    assert f'name="next" value="{reverse("home")}"' in page


def test_a_form_that_was_open_too_long_gives_back_what_was_typed(alice: Membership) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice.user)
    typed = "A sentence that took a while to find."
    response = browser.post(reverse("add_client"), {"approach": typed, "password": typed * 2})
    assert response.status_code == 403
    assert response.content.decode().count(typed) == 1
