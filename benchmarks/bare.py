"""What the client's form is measured against: a Django form view of the plainest kind.

It asks the same questions and keeps the answers by one INSERT, with the middleware of a new Django
project, and has neither practices nor links, screening, episodes or an audit trail.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from django import forms
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template import engines
from django.test import Client as Browser
from django.test import override_settings
from django.test.client import ClientHandler
from django.urls import path

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TABLE = "CREATE TEMPORARY TABLE bare (id bigserial PRIMARY KEY, answers integer[], comment text)"
PAGE = "<!doctype html><title>Form</title><form method=post>{% csrf_token %}{{ form.as_p }}</form>"
RATINGS = [(number, str(number)) for number in range(11)]
View = Callable[[HttpRequest], HttpResponse]
ITEMS = ("heard", "accepted", "matters", "direction", "suited", "helpful")


class BareForm(forms.Form):
    tension = forms.ChoiceField(choices=RATINGS[:5], widget=forms.RadioSelect, required=False)
    comment = forms.CharField(widget=forms.Textarea, required=False)

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        for item in ITEMS:
            self.fields[f"item_{item}"] = forms.TypedChoiceField(
                choices=RATINGS, coerce=int, widget=forms.RadioSelect
            )


class BareHandler(ClientHandler):
    """Serves one view beside Rapport: other settings for each request would cost both their caches.

    As in a new project, without a transaction around each request.
    """

    def __init__(self, view: View) -> None:
        super().__init__(enforce_csrf_checks=False)
        self.urls = (path("", transaction.non_atomic_requests(view)),)

    def load_middleware(self, is_async: bool = False) -> None:
        with override_settings(MIDDLEWARE=MIDDLEWARE):
            super().load_middleware(is_async)

    def get_response(self, request: HttpRequest) -> HttpResponse:
        request.urlconf = self.urls
        response: HttpResponse = super().get_response(request)
        return response


def browser(view: View) -> Browser:
    """One that knows nothing but this view, at '/'."""
    plain = Browser()
    plain.handler = BareHandler(view)
    return plain


def form(request: HttpRequest) -> HttpResponse:
    sent = BareForm(request.POST if request.method == "POST" else None)
    if not sent.is_valid():
        return HttpResponse(_page().render({"form": sent}, request))
    answers = [sent.cleaned_data[f"item_{item}"] for item in ITEMS]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bare (answers, comment) VALUES (%s, %s)",
            [answers, sent.cleaned_data["comment"]],
        )
    return redirect("/")


@cache
def _page() -> Any:
    return engines["django"].from_string(PAGE)
