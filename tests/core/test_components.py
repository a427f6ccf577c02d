"""Icons, pills, slots and fields: what every page is built from."""

import re

import pytest
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout
from django import forms
from django.template import Context, Template, TemplateSyntaxError
from django.template.loader import render_to_string
from django.utils import translation

from apps.core.templatetags.rapport import PILLS, icon, pill
from apps.core.widgets import DetailedCheckboxSelectMultiple, DetailedRadioSelect, OptionDetail


class ExampleForm(forms.Form):
    mobile = forms.RegexField(
        r"^\d+$", label="Mobile number", help_text="Digits only.", error_messages={"invalid": "No."}
    )
    bond = forms.TypedChoiceField(
        label="Bond",
        choices=[("", "-----"), *((n, n) for n in range(11))],
        coerce=int,
        widget=forms.RadioSelect,
        required=False,
    )
    attendance = forms.ChoiceField(
        label="Attendance",
        choices=[("attended", "Attended"), ("no_show", "No-show")],
        widget=DetailedRadioSelect(
            details={"no_show": OptionDetail(icon="person-dash", css_class="rp-absent")}
        ),
        error_messages={"required": "Choose how the session went."},
    )
    parts = forms.MultipleChoiceField(
        label="Parts",
        choices=[("boundary", "Crossed a line"), ("life", "Life")],
        widget=DetailedCheckboxSelectMultiple(
            details={"boundary": OptionDetail("Your therapist will see <this>.")}
        ),
        required=False,
    )


def drawn(template: str, field: forms.BoundField, **inputs: object) -> str:
    return render_to_string(f"forms/{template}.html", {"field": field, **inputs})


def radios(html: str) -> list[str]:
    return re.findall(r"<input[^>]+>", html)


def test_every_status_has_an_icon_and_a_word() -> None:
    for status in PILLS:
        html = pill(status)
        assert "<svg" in html
        assert re.sub(r"<[^>]+>", "", html).strip()


def test_no_flag_and_little_room_are_never_green() -> None:
    assert "rp-pill--noflag" in pill("none")
    assert "rp-pill--ceiling" in pill("little_room")


@pytest.mark.parametrize("status", ["", None, "not_asked"])
def test_not_asked_shows_no_pill(status: str | None) -> None:
    assert pill(status) == ""


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="'green' is no status"):
        pill("green")


def test_an_unknown_icon_says_where_to_put_it() -> None:
    with pytest.raises(TemplateSyntaxError, match="MANIFEST"):
        icon("no-such-icon")


def test_an_icon_is_hidden_from_screen_readers() -> None:
    assert 'aria-hidden="true"' in icon("eye")
    assert 'x="3.5"' in icon("break", "c", x=3.5, y=9)


def test_text_in_a_slot_is_escaped() -> None:
    html = Template(
        '{% load rapport %}{% note "info" %}{{ words }}{% endnote %}'
        "{% page_head words code=words %}{% endpage_head %}"
    ).render(Context({"words": "<b>x</b>"}))
    assert "<b>x</b>" not in html
    assert html.count("&lt;b&gt;x&lt;/b&gt;") == 3


def test_a_scale_starts_empty_and_names_its_ends() -> None:
    inputs = radios(drawn("rating_scale", ExampleForm()["bond"]))
    assert len(inputs) == 11
    assert not any("checked" in tag for tag in inputs)
    assert 'aria-label="0, Not at all"' in inputs[0]
    assert 'aria-label="10, Completely"' in inputs[-1]


def test_a_scale_that_comes_back_keeps_the_answer() -> None:
    inputs = radios(drawn("rating_scale", ExampleForm({"bond": "0"})["bond"]))
    assert ["checked" in tag for tag in inputs] == [True] + [False] * 10


def test_every_option_has_an_id_of_its_own() -> None:
    ids = re.findall(r' id="([^"]+)"', drawn("degree", ExampleForm()["bond"]))
    assert len(ids) == len(set(ids)) == 11


def test_an_option_may_carry_an_icon_and_a_class() -> None:
    html = drawn("segmented", ExampleForm()["attendance"])
    assert [('class="rp-absent"' in tag) for tag in radios(html)] == [False, True]
    assert html.count("<svg") == 1


def test_a_note_stands_below_its_option_and_is_escaped() -> None:
    html = drawn("tags", ExampleForm()["parts"])
    assert "Your therapist will see &lt;this&gt;." in html


def test_an_error_has_an_icon_and_is_announced_with_its_field() -> None:
    html = drawn("text", ExampleForm({"mobile": "x"})["mobile"])
    assert 'aria-invalid="true"' in html
    described = re.search(r'aria-describedby="([^"]+)"', html)
    assert described is not None
    for part in described[1].split():
        assert f'id="{part}"' in html
    assert re.search(r'id="id_mobile_error".*<svg.*No\.', html, re.DOTALL)


def test_an_error_of_a_group_is_announced_with_the_group() -> None:
    html = drawn("segmented", ExampleForm({})["attendance"])
    assert re.search(r'<fieldset[^>]+aria-describedby="id_attendance_error"', html)
    assert 'id="id_attendance_error"' in html


def test_crispy_forms_draws_with_our_templates() -> None:
    form = ExampleForm({"mobile": "x"})
    form.helper = FormHelper()
    form.helper.form_tag = False
    form.helper.layout = Layout(
        "mobile", Field("bond", template="forms/degree.html", wrapper_class="rp-sorted"), "parts"
    )
    html = Template("{% load crispy_forms_tags %}{% crispy form %}").render(Context({"form": form}))
    assert 'class="rp-error"' in html
    assert 'class="rp-degrees"' in html
    assert "rp-sorted" in html
    assert 'class="rp-tags' in html
    assert "Not saved yet." in html


def test_coordinates_keep_their_decimal_point_in_every_language() -> None:
    with translation.override("de"):
        html = Template('{% load rapport %}{% icon "break" "c" x=x y=9 %}').render(
            Context({"x": 3.5})
        )
    assert 'x="3.5"' in html


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_an_error_page_needs_neither_context_nor_database(name: str) -> None:
    html = render_to_string(f"{name}.html")
    assert "<h1>" in html
    assert "Account menu" not in html
