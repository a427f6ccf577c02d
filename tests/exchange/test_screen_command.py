"""`manage.py screen`: each rule of its contract."""

import json
import os
import re
import shlex
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.ruptures.detection import FORM5, SLIDER, Step, replay

ROOT = Path(__file__).parents[2]
V_SHAPE = (75, 75, 80, 80, 55, 75, 80, 80)
OPENING = (
    "Rated 55; usually 67–92, from 4 earlier ratings. Speaks against: Form returned, as usual."
)
SILENCE = "No answer to this form; 8 of 8 earlier forms were answered. No direct information."


@pytest.fixture
def screen(tmp_path):
    """Screen a text; return what is printed."""

    def run(text: str | bytes, **options) -> str:
        path = tmp_path / "ratings.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        printed = StringIO()
        settings = {"form": "form5", "format": "jsonl", **options}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        try:
            call_command("screen", str(path), *arguments, stdout=printed, stderr=StringIO())
        except CommandError:
            assert printed.getvalue() == ""
            raise
        return printed.getvalue()

    return run


@pytest.fixture
def lines(screen):
    """Screen a text; return the steps that are printed."""
    return lambda text, **options: [
        json.loads(line) for line in screen(text, **options).splitlines()
    ]


@pytest.fixture
def refusal(screen):
    """Screen a text that breaks the contract; return the message after the file name."""

    def run(text: str | bytes, **options) -> str:
        with pytest.raises(CommandError) as refused:
            screen(text, **options)
        assert refused.value.returncode == 2
        _, _, message = str(refused.value).partition("ratings.csv, ")
        return message

    return run


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


def column(lines: list[dict], name: str) -> list:
    return [line[name] for line in lines]


def series(*pomps: float | None) -> str:
    rows = (
        f"A,{number},{'' if pomp is None else pomp}" for number, pomp in enumerate(pomps, start=1)
    )
    return csv("client,session,pomp", *rows)


class TestOutput:
    def test_jsonl_has_every_output_unrounded_under_its_published_name(self, lines):
        printed = lines(series(*V_SHAPE))
        _, screenings = replay([Step(pomp=pomp) for pomp in V_SHAPE], FORM5)
        assert list(printed[0]) == [
            "client",
            "session",
            "pomp",
            "prior",
            "expected",
            "low",
            "high",
            "z",
            "noise_variance",
            "evidence",
            "posterior",
            "level",
            "event",
        ]
        assert list(printed[0]["evidence"]) == [
            "score",
            "client",
            "therapist",
            "no_show",
            "missing",
        ]
        for number, (line, screening) in enumerate(zip(printed, screenings, strict=True), start=1):
            assert line == {"client": "A", "session": number, **screening.to_json()}

    def test_the_form_chooses_the_parameters(self, lines):
        printed = lines(series(*V_SHAPE), form="slider")
        _, screenings = replay([Step(pomp=pomp) for pomp in V_SHAPE], SLIDER)
        assert column(printed, "posterior") == [each.posterior for each in screenings]

    def test_the_table_shows_rating_range_level_event_and_reasons_in_words(self, screen):
        table = screen(series(*V_SHAPE, None), format="table").splitlines()
        assert table[0] == "Client A"
        cells = [re.split(r"  +", line) for line in table[1:11]]
        assert cells[0] == ["Session", "Rated", "Usual range", "Level", "Event", "Why"]
        assert cells[1] == ["1", "75", "forming", "No flag"]
        assert cells[3] == ["3", "80", "61–90", "No flag"]
        assert cells[5] == [
            "5",
            "55",
            "67–92",
            "Possible rupture",
            "Opened",
            OPENING,
        ]
        assert cells[7][:5] == ["7", "80", "64–90", "No flag", "Recovering: repaired?"]
        assert cells[9] == ["9", "–", "68–91", "Watch", SILENCE]
        assert {line.find("No flag") for line in table} == {-1, table[1].index("Level")}

    def test_the_table_shows_no_probability(self, screen):
        shown = screen(series(*V_SHAPE), format="table")
        assert "%" not in shown
        assert "0." not in shown

    def test_the_table_is_the_default(self, screen, tmp_path):
        (tmp_path / "a.csv").write_text(series(80), encoding="utf-8")
        printed = StringIO()
        call_command("screen", str(tmp_path / "a.csv"), "--form", "form5", stdout=printed)
        assert printed.getvalue().startswith("Client A\n")

    def test_a_header_alone_prints_nothing(self, screen):
        assert screen("client,session,pomp\n") == ""
        assert screen("client,session,pomp\n", format="table") == ""


class TestFormat:
    @pytest.mark.parametrize(
        "encode",
        [
            lambda text: text.encode(),
            lambda text: text.encode("utf-8-sig"),
            lambda text: text.replace(",", ";").encode(),
            lambda text: text.replace("\n", "\r\n").encode(),
            lambda text: text.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
            lambda text: text.rstrip("\n").encode(),
            lambda text: (text + "\n\n").encode(),
            lambda text: text.replace("A,", '"A",').encode(),
            lambda text: text.replace("A,", " A , ").encode(),
        ],
        ids=[
            "plain",
            "byte order mark",
            "semicolons",
            "CRLF",
            "all",
            "no last newline",
            "blank lines",
            "quotes",
            "blanks",
        ],
    )
    def test_each_usual_way_to_write_a_csv_is_read_alike(self, lines, encode):
        text = series(*V_SHAPE)
        assert lines(encode(text)) == lines(text)

    def test_codes_keep_their_letters(self, lines):
        printed = lines(csv("client,session,pomp", "Zoë;Ł,1,80", '"B,1",1,80'))
        assert column(printed, "client") == ["Zoë;Ł", "B,1"]

    def test_blank_is_unanswered_and_flags_default_to_one(self, lines):
        header = "client,session,pomp,asked,attended,no_shows,tension,resolved"
        printed = lines(csv(header, "A,1,80,,,,,", "A,2,,,,,,", "A,3,,0,1,,,", "A,4,80,1,1,2,3,0"))
        assert column(printed, "pomp") == [80, None, None, 80]
        evidence = column(printed, "evidence")
        assert evidence[1]["missing"] > 0
        assert evidence[2]["missing"] == 0
        assert evidence[3]["no_show"] == 0.9
        assert evidence[3]["client"] == pytest.approx(2.57)

    def test_each_optional_column_reaches_the_filter(self, lines):
        header = (
            "client,session,pomp,tension,resolved,therapist_tension,therapist_resolved,"
            "no_shows,gap_days,asked"
        )
        printed = lines(csv(header, "A,1,80,0,,,,,,", "A,2,70.5,2,1,3,4,1,50,0"))
        steps = [
            Step(pomp=80, tension=0),
            Step(
                pomp=70.5,
                tension=2,
                resolved=1,
                therapist_tension=3,
                therapist_resolved=4,
                no_shows=1,
                gap_days=50,
                asked=False,
            ),
        ]
        assert column(printed, "posterior") == [each.posterior for each in replay(steps, FORM5)[1]]


class TestItems:
    def test_columns_not_named_here_are_items(self, lines):
        printed = lines(csv("client,session,q1,q2,tension", "A,1,3,4,0"))
        assert column(printed, "pomp") == [62.5]

    def test_items_may_be_named_and_other_columns_are_left_unread(self, lines, tmp_path):
        text = csv("client,session,q1,note,q2", "A,1,3,late,4")
        assert column(lines(text, items="q1, q2"), "pomp") == [62.5]
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        told = StringIO()
        call_command(
            "screen",
            str(tmp_path / "a.csv"),
            "--form=form5",
            "--items=q1,q2",
            stdout=StringIO(),
            stderr=told,
        )
        assert told.getvalue() == "Not read: note (not in --items)\n"

    def test_a_named_item_may_look_like_a_known_column(self, lines):
        text = csv("client,session,tension_1,tension_2", "A,1,3,4")
        assert column(lines(text, items="tension_1,tension_2"), "pomp") == [62.5]

    @pytest.mark.parametrize(
        ("options", "pomp"),
        [({}, 75), ({"form": "slider"}, 40), ({"scale": "0-8"}, 50), ({"scale": "-4-4"}, 100)],
    )
    def test_the_scale_goes_with_the_form_unless_given(self, lines, options, pomp):
        assert column(lines(csv("client,session,q1", "A,1,4"), **options), "pomp") == [pomp]

    def test_eight_tenths_of_the_items_are_needed(self, lines):
        printed = lines(
            csv("client,session,a,b,c,d,e,f", "A,1,4,4,4,4,4,", "A,2,4,4,4,4,,", "A,3,,,,,,")
        )
        assert column(printed, "pomp") == [75, None, None]

    @pytest.mark.parametrize("items", ["q1,q3", "q1,q1", "q1,tension", "q1,", "pomp"])
    def test_items_that_are_no_item_columns_are_refused(self, refusal, items):
        message = refusal(csv("client,session,q1,q2,tension", "A,1,3,4,0"), items=items)
        assert "line 1" in message
        assert "--items" in message

    @pytest.mark.parametrize("name", ["tenson", "Tension", "Pomp", "therapist_tensions", "helt_at"])
    def test_a_name_close_to_a_known_one_is_refused(self, refusal, name):
        message = refusal(csv(f"client,session,q1,{name}", "A,1,3,4"))
        assert message.startswith(f"line 1, column {name}: expected a known column, such as '")

    @pytest.mark.parametrize("name", ["q1", "note", "tenson"])
    def test_beside_pomp_any_other_column_is_refused(self, refusal, name):
        message = refusal(csv(f"client,session,pomp,{name}", "A,1,3,4"))
        assert message.startswith(f"line 1, column {name}: expected")

    def test_items_beside_pomp_are_refused(self, refusal):
        text = csv("client,session,pomp,q1", "A,1,3,4")
        assert refusal(text, items="q1").startswith("line 1, column q1")


class TestOrder:
    def test_missing_numbers_are_unrated_asked_steps_and_none_comes_before_the_first(self, lines):
        printed = lines(csv("client,session,pomp", "A,3,80", "A,6,80", "B,2,70"))
        assert [(line["client"], line["session"], line["pomp"]) for line in printed] == [
            ("A", 3, 80),
            ("A", 4, None),
            ("A", 5, None),
            ("A", 6, 80),
            ("B", 2, 70),
        ]
        assert printed[1]["evidence"]["missing"] > 0

    def test_thirty_missing_numbers_are_read_and_more_are_refused(self, lines, refusal):
        assert len(lines(csv("client,session,pomp", "A,1,80", "A,32,80"))) == 32
        message = refusal(csv("client,session,pomp", "A,1,80", "A,33,80"))
        assert message.startswith("line 3, column session: expected at most 30 missing numbers")

    def test_a_session_not_attended_uses_its_number_and_nothing_else_of_it(self, lines):
        text = csv(
            "client,session,therapist,pomp,attended,tension",
            "A,1,T1,80,1,",
            "A,2,T9,NA,0,much",
            "A,3,T1,80,1,",
        )
        printed = lines(text)
        assert column(printed, "session") == [1, 3]
        assert column(printed, "posterior") == column(lines(series(80, 80)), "posterior")

    def test_a_new_therapist_starts_a_new_series_and_the_numbering_goes_on(self, lines):
        text = csv("client,session,therapist,pomp", "A,1,T1,80", "A,2,T1,80", "A,4,T2,60")
        printed = lines(text)
        assert column(printed, "session") == [1, 2, 3, 4]
        assert printed[3]["prior"] == 0.05
        assert printed[2]["prior"] != 0.05

    def test_an_unnamed_therapist_is_no_change(self, lines):
        text = csv("client,session,therapist,pomp", "A,1,T1,80", "A,2,,80", "A,3,T1,80")
        assert column(lines(text), "posterior") == column(lines(series(80, 80, 80)), "posterior")

    def test_the_table_names_each_series(self, screen):
        text = csv("client,session,therapist,pomp", "A,1,T1,80", "A,2,T2,80", "B,1,,80")
        shown = screen(text, format="table").splitlines()
        headings = [line for line in shown if line.startswith("Client")]
        assert headings == ["Client A · therapist T1", "Client A · therapist T2", "Client B"]

    def test_clients_who_only_missed_sessions_print_nothing(self, screen):
        text = csv("client,session,pomp,attended", "A,1,,0")
        assert screen(text) == screen(text, format="table") == ""

    @pytest.mark.parametrize(
        ("rows", "place"),
        [
            (["A,1,80", "A,1,80"], "line 3, column session: expected a number above 1"),
            (["A,2,80", "A,1,80"], "line 3, column session: expected a number above 2"),
            (["A,1,80", "B,1,80", "A,2,80"], "line 4, column client: expected a client's rows to"),
        ],
    )
    def test_rows_out_of_order_are_refused(self, refusal, rows, place):
        assert refusal(csv("client,session,pomp", *rows)).startswith(place)


class TestMoments:
    def test_held_at_orders_and_names_the_steps(self, lines):
        rows = ["A,2026-01-01,80", "A,2026-02-12T10:00,80"]
        printed = lines(csv("client,held_at,pomp", *rows))
        assert column(printed, "held_at") == ["2026-01-01", "2026-02-12T10:00"]
        assert "session" not in printed[0]

    def test_gap_days_come_from_held_at_of_the_session_attended_before(self, lines):
        rows = ["A,2026-01-01,80,1", "A,2026-02-01,,0", "A,2026-02-12,80,1"]
        printed = lines(csv("client,held_at,pomp,attended", *rows))
        _, screenings = replay([Step(pomp=80), Step(pomp=80, gap_days=42)], FORM5)
        assert column(printed, "high") == [each.high for each in screenings]

    def test_gap_days_given_win_over_held_at(self, lines):
        rows = ["A,2026-01-01,80,", "A,2026-03-12,80,7"]
        printed = lines(csv("client,held_at,pomp,gap_days", *rows))
        assert column(printed, "high") == column(lines(series(80, 80)), "high")

    def test_session_wins_where_both_are(self, lines):
        rows = ["A,1,2026-01-01,80", "A,2,,80", "A,3,2026-03-12,80"]
        printed = lines(csv("client,session,held_at,pomp", *rows))
        assert column(printed, "session") == [1, 2, 3]
        assert "held_at" not in printed[0]
        assert column(printed, "high") == column(lines(series(80, 80, 80)), "high")

    def test_session_orders_even_where_held_at_says_otherwise(self, lines):
        rows = ["A,1,2026-03-12,80", "A,2,2026-01-01,80"]
        printed = lines(csv("client,session,held_at,pomp", *rows))
        assert column(printed, "high") == column(lines(series(80, 80)), "high")

    @pytest.mark.parametrize(
        ("rows", "place"),
        [
            (["A,2026-01-01,80", "A,2026-01-01,80"], "line 3, column held_at: expected a moment"),
            (["A,2026-01-02,80", "A,2026-01-01,80"], "line 3, column held_at: expected a moment"),
            (["A,01.02.2026,80"], "line 2, column held_at: expected an ISO date"),
            (["A,,80"], "line 2, column held_at: expected a value"),
            (
                ["A,2026-01-01T10:00,80", "A,2026-01-08T10:00Z,80"],
                "line 3, column held_at: expected a time zone in all",
            ),
        ],
    )
    def test_moments_out_of_order_or_form_are_refused(self, refusal, rows, place):
        assert refusal(csv("client,held_at,pomp", *rows)).startswith(place)


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("client", "", "a value"),
            ("client", "A\x1b[2J", "printable characters"),
            ("session", "", "a value"),
            ("session", "1.0", "a whole number"),
            ("session", "1_0", "a whole number"),
            ("session", "１", "a whole number"),
            ("session", "9" * 5000, "a whole number"),
            ("pomp", "NA", "a number from 0 to 100 with a decimal point, or blank, found 'NA'"),
            ("pomp", "nan", "a number"),
            ("pomp", "inf", "a number"),
            ("pomp", "1e999", "a number"),
            ("pomp", "8_0", "a number"),
            ("pomp", "８０", "a number"),
            ("pomp", '"80,5"', "a number"),
            ("pomp", "-1", "a number from 0 to 100"),
            ("pomp", "100.5", "a number from 0 to 100"),
            ("asked", "2", "0, 1 or blank"),
            ("asked", "yes", "0, 1 or blank"),
            ("attended", "TRUE", "0, 1 or blank"),
            ("tension", "5", "a whole number from 0 to 4"),
            ("tension", "-1", "a whole number from 0 to 4"),
            ("resolved", "2.5", "a whole number from 0 to 4"),
            ("therapist_tension", "NA", "a whole number from 0 to 4"),
            ("therapist_resolved", "x", "a whole number from 0 to 4"),
            ("no_shows", "-1", "a whole number of 0 or more"),
            ("gap_days", "-1", "a number of 0 or more"),
            ("gap_days", "inf", "a number of 0 or more"),
        ],
    )
    def test_a_bad_value_is_refused_with_its_place(self, refusal, name, value, expected):
        good = {"client": "A", "session": "2", "pomp": "80"}
        bad = {**good, name: value}
        header = ",".join(bad)
        first = ",".join({**dict.fromkeys(bad, ""), **good, "session": "1"}.values())
        message = refusal(csv(header, first, ",".join(bad.values())))
        assert message.startswith(f"line 3, column {name}: expected {expected}")
        assert len(message) < 200

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [("6", "a number from 1 to 5"), ("0", "a number from 1 to 5"), ("NA", "a number from 1")],
    )
    def test_an_answer_outside_the_scale_is_refused(self, refusal, answer, expected):
        message = refusal(csv("client,session,q1,q2", f"A,1,4,{answer}"))
        assert message.startswith(f"line 2, column q2: expected {expected}")

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("", "line 1, column client: expected a header"),
            ("\n", "line 1, column client: expected a header"),
            ("session,pomp\n1,80\n", "line 1, column client"),
            ("client,pomp\nA,80\n", "line 1, column session: expected this column, or held_at"),
            ("client,session\nA,1\n", "line 1, column pomp: expected this column, or item"),
            ("client,session,pomp,pomp\n", "line 1, column pomp: expected each column once"),
            ("client,session,pomp,\n", "line 1, column 4: expected a column name"),
            ('client,session,"pomp\n', "line 1, column 1: expected a header"),
            ("client,session,pomp\nA,1\n", "line 2, column 3: expected 3 columns"),
            ("client,session,pomp\nA,1,80,\n", "line 2, column 4: expected 3 columns"),
            ('client,session,pomp\nA,1,"8"0\n', "line 2, column 1: expected well-formed CSV"),
            ('client,session,pomp\nA,1,"80\n', "line 2, column 1: expected well-formed CSV"),
            ("client,session,pomp\rA,1,80\r", "line 1, column 1: expected a header"),
            (b"client,session,pomp\nA,1,80\n\xe4,1,80\n", "line 3, column byte 1: expected UTF-8"),
            ("client,session,pomp\nA,1,80\n".encode("utf-16"), "line 1, column byte 1: expected"),
            ("client,session,pomp\n" + "A" * 200_000, "line 2, column 1: expected a line of at"),
        ],
    )
    def test_a_file_that_is_no_such_csv_is_refused(self, refusal, text, place):
        assert refusal(text).startswith(place)

    def test_a_line_is_counted_as_an_editor_counts_it(self, refusal):
        text = 'client,session,pomp\n\n"A",1,80\nA,2,NA\n'
        assert refusal(text).startswith("line 4, column pomp")

    def test_a_runaway_quote_is_refused_before_it_fills_memory(self, refusal):
        text = 'client,session,pomp\nA,1,"80\n' + "A,2,80\n" * 40_000
        assert refusal(text).startswith("line 2, column 1: expected well-formed CSV")

    @pytest.mark.parametrize("name", ["missing.csv", "."])
    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path, name):
        printed = StringIO()
        with pytest.raises(CommandError, match="expected a readable file") as refused:
            call_command("screen", str(tmp_path / name), "--form", "form5", stdout=printed)
        assert refused.value.returncode == 2
        assert printed.getvalue() == ""

    @pytest.mark.parametrize("scale", ["5", "5-1", "a-b", "1-1", "1,5", "1-5-9"])
    def test_a_scale_that_is_none_is_refused(self, screen, scale):
        with pytest.raises(CommandError, match="MIN-MAX"):
            screen(series(80), scale=scale)


class TestAsACommand:
    """In a process of its own, with a database address where nothing answers."""

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "screen", *arguments],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            **options,
        )

    def test_needs_no_database_and_reads_a_pipe(self):
        done = self.run("/dev/stdin", "--form=form5", "--format=jsonl", input=series(*V_SHAPE))
        assert (done.returncode, done.stderr) == (0, "")
        events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        assert events == [None] * 4 + ["opened", "improving", "repaired", None]

    def test_bad_input_at_the_end_exits_with_2_and_prints_nothing(self):
        done = self.run("/dev/stdin", "--form=form5", input=series(*V_SHAPE, 101))
        assert (done.returncode, done.stdout) == (2, "")
        assert "/dev/stdin, line 10, column pomp: expected a number from 0 to 100" in done.stderr

    def test_a_reader_that_has_seen_enough_may_leave(self, tmp_path):
        rows = [f"A{number},1,80" for number in range(5000)]
        (tmp_path / "a.csv").write_text(csv("client,session,pomp", *rows), encoding="utf-8")
        file = str(tmp_path / "a.csv")
        screen = shlex.join([sys.executable, "manage.py", "screen", file, "--form=form5"])
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{screen} | head -n 1"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "Client A0\n", "")

    @pytest.mark.parametrize("arguments", [(), ("--form=other",)])
    def test_a_form_must_be_chosen(self, arguments):
        done = self.run("/dev/stdin", *arguments, input="")
        assert (done.returncode, done.stdout) == (2, "")
