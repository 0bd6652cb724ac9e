"""Pages and terminal in Chinese: every text of the code has its line in the table, and nothing but words is changed."""

import argparse
import io
import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

import reports
from harness.cli.main import build_parser, main
from harness.language import language, say, speak
from harness.language.chinese import PARTS, PHRASES, SENTENCES
from harness.language.chinese_errors import ERRORS
from harness.language.chinese_faults import FAULT_PHRASES
from harness.language.chinese_help import HELP, HELP_SENTENCES
from harness.language.chinese_lines import LINE_PHRASES, LINE_SENTENCES
from harness.language.chinese_pairs import PAIR_PHRASES, PAIR_SENTENCES
from harness.language.chinese_studies import STUDY_PHRASES, STUDY_SENTENCES
from harness.language.speech import untranslated
from harness.rules.bounded import _sentence
from harness.running.cases import list_cases
from reports.drawing.captions import heading
from reports.drawing.curves import curves_of
from reports.run.finding_rows import findings_lead
from reports.run.tiles import tiles_of
from reports.words.terms_words import QUESTIONS, terms_lines
from tests.pinned import pinned
from tests.unpacking import unpack
from tests.words.error_templates import error_templates
from tests.words.shown_texts import english_on

ROOT = Path(__file__).parents[2]

SHOWN = (
    *(PHRASES, SENTENCES, STUDY_PHRASES, STUDY_SENTENCES),
    *(LINE_PHRASES, LINE_SENTENCES, PAIR_PHRASES, PAIR_SENTENCES),
)
"""The tables of what is shown, which are one where a text is looked up."""

CODE = re.compile(r"PASS|FAIL|INCONCLUSIVE|ERROR|\d+(?:\.\d+)?|--\w+|grad_norm|loss\b|cpu|fp32|tf32")


@pytest.fixture(autouse=True)
def english_again():
    yield
    speak("en")


def test_no_text_has_two_translations():
    seen = {}
    for table in SHOWN:
        for english, chinese in table.items():
            assert seen.setdefault(english, chinese) == chinese, english


def test_questions_and_the_names_of_tables_are_in_the_table():
    for text in (*QUESTIONS.values(), "Iteration", "Observed", "Allowed", "Times allowed", "Would have seen"):
        assert text in PHRASES


TABLES = (*SHOWN, PARTS, ERRORS, HELP, HELP_SENTENCES, FAULT_PHRASES)


@pytest.mark.parametrize(("english", "chinese"), [pair for table in TABLES for pair in table.items()])
def test_a_translation_keeps_places_numbers_names_and_options(english, chinese):
    assert sorted(re.findall(r"\{\w+\}", chinese)) == sorted(re.findall(r"\{\w+\}", english))
    kept = [found for found in CODE.findall(english) if found not in {"loss"}]
    assert all(found in chinese for found in kept)
    assert re.search(r"[一-鿿：；、，。]", chinese) or chinese == english or "gradient" not in english


def test_every_error_is_in_the_table():
    """Of each text of an error, with a number wherever something is filled in."""
    templates = error_templates()
    assert len(templates) > 500
    lacking = {text: place for text, place in templates.items() if untranslated(text.replace("{}", "7"))}
    assert lacking == {}


def test_what_each_case_is_is_in_the_table():
    summaries = [case.summary for case in list_cases()]
    assert len(summaries) > 30
    assert [summary for summary in summaries if untranslated(summary)] == []
    speak("zh")
    assert [summary for summary in summaries if say(summary) == summary] == []


def test_an_error_that_is_missing_would_be_named():
    assert untranslated("the moon is made of 7 cheeses") == ["the moon is made of 7 cheeses"]


def help_texts_of(parser):
    """What the help of a command and of those beneath it says."""
    yield from filter(None, (parser.description, parser.epilog, parser.exit_codes))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from (choice.help for choice in action._choices_actions if choice.help)
            for command in action.choices.values():
                yield from help_texts_of(command)
        elif action.help:
            yield action.help


def test_every_help_text_is_in_the_table():
    texts = set(help_texts_of(build_parser()))
    assert len(texts) > 200
    assert texts - set(HELP) == set()
    assert set(HELP) - texts <= {text for text in HELP if "\n" not in text and len(text.split()) < 6}


def test_help_and_errors_are_told_in_chinese(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["compare", "--lang", "zh", "--help"])
    told = capsys.readouterr().out
    assert told.startswith("用法：align compare")
    assert "可信一方的日志" in told
    assert all(cell_len(line) <= 60 for line in told.split("位置参数")[1].partition("第一行")[0].splitlines()[1:])
    with pytest.raises(SystemExit):
        main(["compare", "--lang=zh", "--otu", "x"])
    assert "无法识别的参数：--otu" in capsys.readouterr().err
    assert main(["--lang", "zh", "compare", "/none.log", "/none.log"]) == 2
    assert "ERROR 没有这份日志\n  位置：/none.log" in capsys.readouterr().err


OURS_TO_STAY = re.compile(r"capability AVX512|first step|torchtitan text|所用健康运行于|emulated sdaa, tf32, fault")
"""What is a rule's, a format's or a device's name, or was written by whoever recorded the baseline."""


def test_a_page_has_no_english_sentence(tmp_path):
    unpack(pinned.DATA / "faulty.tar.xz", tmp_path)
    results = {"healthy": pinned._healthy("tf32", 3, "fp32"), "faulty": pinned._faulty(tmp_path / "faulty")}
    results |= {name: pinned._logs(*pair) for name, pair in pinned.LOGS.items()}
    speak("zh")
    for name, result in results.items():
        reports.write([result], tmp_path / "out" / name)
    reports.merge([tmp_path / "out" / name for name in results], tmp_path / "all")
    pages = sorted(tmp_path.glob("**/*.html"))
    assert len(pages) == 2 * len(results) + 1
    for page in pages:
        lacking = [text for text in english_on(page.read_text(encoding="utf-8")) if not OURS_TO_STAY.search(text)]
        assert lacking == [], page


def test_english_on_a_page_would_be_found():
    page = '<p data-label="How many">x</p><pre>as it is</pre><p><code>left as</code> but this is told</p>'
    assert english_on(page) == ["How many", "but this is told"]


@pytest.mark.parametrize("violated", [True, False])
@pytest.mark.parametrize("observed", [0.05, -0.05])
def test_the_sentence_of_a_bound_is_told_with_its_numbers(observed, violated):
    sentence = f"first step: {_sentence('grad_norm', 7, observed, 0.001, violated=violated)}"
    assert untranslated(sentence) == []
    speak("zh")
    assert say(sentence).startswith("first step: ")
    assert {"grad_norm", "7", "5 %", "0.1 %"} <= set(re.findall(r"grad_norm|[\d.]+(?: %)?", say(sentence)))


def first_screen(result):
    """What a page and the terminal say of a result first: the answer, its terms, the tiles, the drawing's headline."""
    texts = [result.verdict.reason, *terms_lines(result.terms), findings_lead(result.verdict)]
    texts += [word for tile in tiles_of(result) for word in (tile.name, tile.note)]
    texts += [heading(curve) for curve in curves_of(result)]
    return [text for text in texts if text]


@pytest.mark.parametrize("name", ["healthy", *pinned.LOGS])
def test_the_first_screen_of_a_judged_run_has_no_english_sentence(name):
    result = pinned._healthy("tf32", 3, "tf32") if name == "healthy" else pinned._logs(*pinned.LOGS[name])
    texts = first_screen(result)
    assert len(texts) > 10
    assert [clause for text in texts for clause in untranslated(text)] == []


def test_what_the_table_lacks_stays_english():
    speak("zh")
    assert say("something new: nobody wrote it") == "something new: nobody wrote it"
    assert untranslated("the reference is cpu; something new") == ["something new"]


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "业内旧规则:"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "legacy rule:"),
        ({"LANG": "de_DE.UTF-8"}, "legacy rule:"),
        ({"LANG": "C", "ALIGN_LANG": "zh"}, "业内旧规则:"),
    ],
)
def test_the_language_is_the_environments(environment, chosen, tmp_path, monkeypatch, capsys):
    for name in ("ALIGN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a.log").write_text("\n".join(f"Iteration: {i} loss: {4 - i / 100:.4f}" for i in range(60)))
    main(["compare", str(tmp_path / "a.log"), str(tmp_path / "a.log")])
    assert chosen in capsys.readouterr().out


@pytest.mark.parametrize(("encoding", "chosen"), [("gbk", "zh"), ("utf-8", "zh"), ("latin-1", "en"), ("ascii", "en")])
def test_a_console_that_has_no_chinese_is_told_in_english(encoding, chosen, monkeypatch):
    monkeypatch.delenv("ALIGN_LANG")
    monkeypatch.setenv("LC_ALL", "zh_CN.GBK")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    speak()
    assert language() == chosen


def test_two_logs_are_told_in_chinese_and_stored_in_english(tmp_path, capsys):
    for name, factor in (("cuda", 1.0), ("sdaa", 1.08)):
        lines = [f"Iteration: {i} loss: {(4 - i / 100 + (i * i % 7) / 50) * factor:.4f}" for i in range(100)]
        (tmp_path / f"{name}.log").write_text("\n".join(lines))
    words = ["compare", str(tmp_path / "cuda.log"), str(tmp_path / "sdaa.log")]
    assert main([*words, "--lang", "zh", "--out", str(tmp_path / "zh")]) == 1
    told = capsys.readouterr().out
    assert "FAIL sdaa: 常数倍 1.08：候选的损失自始至终偏差 8 %" in told
    page = (tmp_path / "zh/sdaa/report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in page
    assert "它的训练与参考一致吗？" in page
    stored = json.loads((tmp_path / "zh/sdaa/result.json").read_text(encoding="utf-8"))
    assert stored["reason"] == "constant factor 1.08: the candidate's loss is off by 8 % throughout"
