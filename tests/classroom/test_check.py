"""The short form of `make classroom-check`: a small class, marked in the sandbox, killed once."""

import check
from boxes import working_sandbox


def test_a_simulated_class_gets_what_it_deserves(capsys) -> None:
    working_sandbox()  # or skip, and say why
    code = check.main(["--submissions", "12", "--kills", "1", "--no-tests"])
    assert code == 0, capsys.readouterr().out
