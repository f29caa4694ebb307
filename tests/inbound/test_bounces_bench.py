"""python -m bench bounces: the figures of a folder."""

import json
from pathlib import Path

from bench.bounces import main

CORPORA = Path(__file__).parent / "corpora"


def test_the_bench_counts_what_is_right_and_lists_what_is_not(tmp_path, capsys):
    for name in ("dsn-postfix", "qmail", "arf-abuse", "reply-vacation"):
        (tmp_path / f"{name}.eml").write_bytes((CORPORA / f"{name}.eml").read_bytes())
    right, wrong = {"reason": "userunknown", "hard_bounce": True}, {"reason": "spamdetected", "hard_bounce": False}
    expected = {
        "dsn-postfix.eml": [right],
        "qmail.eml": [right, wrong],
        "arf-abuse.eml": [{"reason": "feedback", "extra": "abuse"}],
        "reply-vacation.eml": [{"reason": "vacation"}],
    }
    (tmp_path / "EXPECTED.json").write_text(json.dumps(expected))
    assert main([str(tmp_path), "--verbose"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert {"recipient 3 / 3 100.0%", "permanence 3 / 3 100.0%", "class 2 / 3 66.7%", "ARF 1 / 1 100.0%"} <= set(lines)
    assert any(line.startswith("class qmail.eml") for line in lines)


def test_the_bench_compares_addresses_where_they_are_expected(tmp_path, capsys):
    (tmp_path / "qmail.txt").write_bytes((CORPORA / "qmail.eml").read_bytes())
    wanted = [{"addresses": ["Jan@globex.example", "kim@globex.example"], "temporary": False}]
    (tmp_path / "EXPECTED.json").write_text(json.dumps({"qmail.txt": wanted}))
    main([str(tmp_path)])
    assert "recipient 1 / 1 100.0%" in " ".join(capsys.readouterr().out.split())
