"""A worker gets the model that its song asks for, or says why it can't."""

from types import SimpleNamespace
from typing import Any

import pytest

from functions.separate import worker as module
from functions.separate.request import Request
from functions.separate.worker import Worker
from medley.errors import Unavailable, WeightsMissing

CLAIM: Any = SimpleNamespace(job=SimpleNamespace(song="0" * 64, model="htdemucs"))


def test_why_there_is_no_model_is_told_where_it_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def refuse(model: str, *_: Any) -> None:
        asked.append(model)
        raise WeightsMissing("the hub is away")

    monkeypatch.setattr(module, "obtain", refuse)
    monkeypatch.setattr(Worker, "_beat", lambda _: None)  # it would tell Redis
    worker = Worker()
    with pytest.raises(Unavailable, match="the hub is away"):
        worker._load(CLAIM, Request(worker._aside), False)
    assert asked == ["htdemucs"]
    assert worker._about["state"] == "cannot load the model: the hub is away"
    log = capsys.readouterr().err
    assert '"level": "error"' in log
    assert "the hub is away" in log
