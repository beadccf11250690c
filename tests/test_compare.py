"""`mst compare`: the numbers are those of the functions, and every bad file is one line that says where it is bad."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as reference

from mst_evals import cli
from mst_evals.errors import InputError
from mst_evals.statistics import compare, counts, seeds, stats

HEADER = "seed,row,topic,mst,baseline,hit_a,hit_b"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def simple(tmp_path: Path, a: list[object], b: list[object], header: str = "a,b") -> Path:
    lines = [f"{x},{y}" for x, y in zip(a, b, strict=True)]
    return write(tmp_path / "scores.csv", "\n".join([header, *lines]) + "\n")


def seeded(tmp_path: Path, s: int = 3, n: int = 8, skip: tuple[tuple[int, int], ...] = ()) -> tuple[Path, np.ndarray]:
    """A file of s seeds and n rows in topics of two; and a - b, shape (s, n)."""
    rng = np.random.default_rng(3)
    a = np.round(3 + rng.normal(0, 1, (s, 1)) + rng.normal(0, 1, (s, n)), 3)
    b = np.round(4 + rng.normal(0, 1, (s, n)), 3)
    lines = [
        f"{i},r{j},t{j // 2},{a[i, j]},{b[i, j]},{int(a[i, j] > 3)},{int(b[i, j] > 3)}"
        for i in range(s)
        for j in range(n)
        if (i, j) not in skip
    ]
    return write(tmp_path / "seeds.csv", "\n".join([HEADER, *lines])), a - b


def test_rows_alone(tmp_path: Path) -> None:
    a, b = [1.0, 2.5, 3.0, 2.0, 5.5, 4.0], [2.0, 2.0, 4.5, 3.0, 6.0, 6.5]
    found = compare.compare_columns(simple(tmp_path, a, b), "a", "b")
    expected = reference.ttest_rel(a, b)
    assert found.difference.interval.mean == pytest.approx(-1.0)  # a minus b
    assert found.difference.p == pytest.approx(expected.pvalue)
    assert found.mean_a == stats.cluster_interval(a, range(6))
    assert found.mean_b == stats.cluster_interval(b, range(6))
    assert found.sign.outcomes == stats.Outcomes(5, 0, 1)
    assert found.win_rate.outcomes == stats.Outcomes(4, 2, 0)  # 0.5 apart is a tie at a margin of 0.5
    assert found.win_rate.win_rate == stats.wilson(4, 6)
    assert found.equivalence == stats.equivalence(found.difference.interval, 0.5)
    assert found.detectable == stats.detectable(found.difference.interval)
    assert (found.lines, found.missing, found.rows, found.clusters, found.seeds) == (6, 0, 6, 6, None)
    assert found.mcnemar is None and found.over_seeds is None and found.notes == ()


def test_a_column_of_seeds_that_is_not_used_is_named(tmp_path: Path) -> None:
    path, _ = seeded(tmp_path)
    pooled = compare.compare_columns(path, "mst", "baseline")
    assert pooled.rows == 24
    assert pooled.notes[0].startswith("column 'seed' looks like seeds and is not used: every line counts as a row")
    assert "--seed seed" in pooled.notes[0]
    named = compare.compare_columns(path, "mst", "baseline", seed="seed", row="row")
    assert not any("looks like seeds" in note for note in named.notes)
    assert not any("looks like" in note for note in compare.compare_columns(path, "mst", "baseline", seed="seed").notes)
    one = write(tmp_path / "one.csv", "Seed,a,b\n" + "".join(f"0,{i},{i % 3}\n" for i in range(6)))
    assert compare.compare_columns(one, "a", "b").notes == ()  # one seed: nothing is pooled
    graded = write(tmp_path / "graded.csv", "Seed,a,b\n0,PASS,FAIL\n1,PASS,FAIL\n")
    assert "column 'Seed'" in compare.compare_columns(graded, "a", "b").notes[0]


def test_direction_and_margin(tmp_path: Path) -> None:
    path = simple(tmp_path, [1.0, 2.0, 3.0], [2.0, 2.0, 1.5])
    assert compare.compare_columns(path, "a", "b", margin=1.2).win_rate.outcomes == stats.Outcomes(0, 2, 1)
    higher = compare.compare_columns(path, "a", "b", margin=1.2, better="higher")
    assert higher.win_rate.outcomes == stats.Outcomes(1, 2, 0)
    assert higher.equivalence.margin == 1.2
    turned = compare.compare_columns(path, "b", "a")
    assert turned.difference.interval.mean == pytest.approx(-1 / 6)


def test_yes_or_no_columns(tmp_path: Path) -> None:
    a, b = [1, 1, 1, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1, 0, 1]
    path = simple(tmp_path, a, b)
    found = compare.compare_columns(path, "a", "b", margin=0.05)
    assert found.mcnemar == counts.mcnemar(a, b)
    assert found.mean_a == stats.wilson(7, 9)
    high = found.difference.interval.high
    assert high is not None and high <= 1
    assert found.notes == ()
    wide = compare.compare_columns(path, "a", "b")
    assert any("0.05 for rates" in note for note in wide.notes)


def test_grades_are_compared_by_their_order(tmp_path: Path) -> None:
    a, b = ["PASS", "PASS", "FAIL", "PARTIAL", "", "PASS"], ["FAIL", "PARTIAL", "PARTIAL", "PARTIAL", "PASS", "FAIL"]
    found = compare.compare_columns(simple(tmp_path, a, b), "a", "b", better="lower")
    assert isinstance(found, compare.GradeComparison)
    assert (found.lines, found.missing, found.rows, found.seeds) == (6, 1, 5, None)
    assert found.grades_a == {"FAIL": 1, "PARTIAL": 1, "PASS": 3}
    assert found.grades_b == {"FAIL": 2, "PARTIAL": 3, "PASS": 0}
    assert found.sign.outcomes == stats.Outcomes(3, 1, 1)  # PASS is better whatever "better" says of numbers
    assert found.sign.p == reference.binomtest(3, 4).pvalue


def test_grades_with_seeds_and_clusters_have_one_vote_each(tmp_path: Path) -> None:
    """Row 1 is won under one seed and lost under the other: a tie. Rows 2 and 3 share a topic, which a wins."""
    lines = ["0,1,x,PASS,FAIL", "1,1,x,FAIL,PARTIAL", "0,2,y,PASS,PASS", "1,2,y,PASS,PARTIAL"]
    lines += ["0,3,y,PARTIAL,FAIL", "1,3,y,FAIL,FAIL", "0,4,z,PASS,FAIL"]
    path = write(tmp_path / "grades.csv", "\n".join(["seed,row,topic,a,b", *lines]))
    found = compare.compare_columns(path, "a", "b", cluster="topic", seed="seed", row="row")
    assert isinstance(found, compare.GradeComparison)
    assert (found.rows, found.clusters, found.seeds, found.unbalanced) == (3, 2, 2, 1)
    assert found.sign.outcomes == stats.Outcomes(1, 1, 0)
    assert found.grades_a == {"FAIL": 2, "PARTIAL": 1, "PASS": 3}
    assert any("clusters" in note for note in found.notes) and any("new seeds" in note for note in found.notes)


def test_grades_and_numbers_do_not_mix(tmp_path: Path) -> None:
    path = simple(tmp_path, ["PASS", "FAIL"], ["FAIL", "3"])
    with pytest.raises(InputError, match=r"line 3, column 'b': found '3': expected FAIL, PARTIAL, PASS or nothing"):
        compare.compare_columns(path, "a", "b")
    nothing = simple(tmp_path, ["PASS", ""], ["", "FAIL"])
    with pytest.raises(InputError, match="no row has 'a' and 'b'"):
        compare.compare_columns(nothing, "a", "b")


def test_grades_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = simple(tmp_path, ["PASS", "FAIL", "PASS"], ["FAIL", "FAIL", "PARTIAL"])
    assert call(monkeypatch, str(path), "--a", "a", "--b", "b") == 0
    shown = capsys.readouterr().out
    assert "PASS 2, PARTIAL 0, FAIL 1" in shown and "win 2, tie 1, loss 0" in shown
    assert call(monkeypatch, str(path), "--a", "a", "--b", "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sign"]["outcomes"] == {"win": 2, "tie": 1, "loss": 0}


def test_clusters_have_one_vote_and_no_mcnemar(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "t,a,b\nx,0,1\nx,0,1\nx,0,1\ny,1,0\nz,0,1\n")
    found = compare.compare_columns(path, "a", "b", cluster="t", margin=0.05)
    assert (found.rows, found.clusters) == (5, 3)
    assert found.sign.outcomes == stats.Outcomes(2, 0, 1)
    assert found.mcnemar is None
    assert any("McNemar" in note for note in found.notes)
    expected = stats.paired_difference([0, 0, 0, 1, 0], [1, 1, 1, 0, 1], "xxxyz", bounds=stats.SHARE_DIFFERENCE)
    assert found.difference == expected


def test_pairs_with_a_missing_value_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a,b\n1,2\n,5\n3,NaN\n4,4.5\nnull, N/A\n\n6,5\n")
    found = compare.compare_columns(path, "a", "b")
    assert (found.lines, found.missing, found.rows) == (6, 3, 3)
    assert found.difference.interval.mean == pytest.approx((-1 - 0.5 + 1) / 3)


def test_seeds_and_rows(tmp_path: Path) -> None:
    path, differences = seeded(tmp_path)
    topics = [f"t{j // 2}" for j in range(8)]
    found = compare.compare_columns(path, "mst", "baseline", cluster="topic", seed="seed", row="row")
    assert (found.lines, found.rows, found.clusters, found.seeds) == (24, 8, 4, 3)
    assert found.difference.interval.se == pytest.approx(stats.cluster_interval(differences.mean(axis=0), topics).se)
    over = found.over_seeds
    assert over is not None
    expected = seeds.seeds_and_rows(differences, topics)
    assert over.difference.interval.mean == pytest.approx(expected.interval.mean)
    assert (over.difference.interval.se, over.difference.interval.df) == pytest.approx(
        (expected.interval.se, expected.interval.df)
    )
    assert over.sign_flip == seeds.sign_flip(differences.mean(axis=1))
    assert over.smallest_sign_flip == 0.25
    assert over.bootstrap.low == pytest.approx(seeds.two_level_bootstrap(differences, topics).low)
    assert over.equivalence.margin == 0.5
    assert over.detectable == pytest.approx(stats.detectable(expected.interval))
    assert any("cannot go below p = 0.25" in note for note in found.notes)


def test_seeds_are_matched_by_order_or_by_name(tmp_path: Path) -> None:
    path, _ = seeded(tmp_path)
    by_order = compare.compare_columns(path, "mst", "baseline", seed="seed")
    assert by_order == compare.compare_columns(path, "mst", "baseline", seed="seed", row="row")
    header, *lines = path.read_text().splitlines()
    shuffled = write(tmp_path / "shuffled.csv", "\n".join([header, *lines[::-1]]))
    by_name = compare.compare_columns(shuffled, "mst", "baseline", seed="seed", row="row").over_seeds
    assert by_name is not None and by_order.over_seeds is not None
    assert by_name.difference.interval.se == pytest.approx(by_order.over_seeds.difference.interval.se)


def test_rows_that_a_seed_lacks(tmp_path: Path) -> None:
    path, differences = seeded(tmp_path, skip=((1, 2), (2, 5)))
    found = compare.compare_columns(path, "mst", "baseline", seed="seed", row="row")
    kept = [j for j in range(8) if j not in (2, 5)]
    assert (found.rows, found.unbalanced, found.missing) == (6, 2, 0)
    assert found.difference.interval.mean == pytest.approx(differences[:, kept].mean())
    with pytest.raises(InputError, match=r"different numbers of lines \(0: 8, 1: 7, 2: 7\): name the rows"):
        compare.compare_columns(path, "mst", "baseline", seed="seed")


def test_one_seed_has_no_interval_over_seeds(tmp_path: Path) -> None:
    path, _ = seeded(tmp_path, s=1)
    found = compare.compare_columns(path, "hit_a", "hit_b", seed="seed", row="row")
    assert found.over_seeds is not None
    assert found.over_seeds.difference.reason == "one seed says nothing about new seeds"
    assert found.over_seeds.bootstrap.low is None and found.over_seeds.sign_flip is None
    assert found.mcnemar is not None


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "found nothing: expected lines of data"),
        ("a,b\n", {}, "found a header and no line"),
        ("base_line,mst\n1,2\n", {"a": "mst", "b": "baseline"}, "no column 'baseline'; nearest: base_line"),
        ("x,y\n1,2\n", {}, "no column 'a'; found: x, y"),
        ("a,b,a\n1,2,3\n", {}, "column 'a' is there 2 times"),
        ("a,b\n1,2\n3,four\n", {}, "line 3, column 'b': found 'four': expected a number or nothing"),
        ("a,b\n1,inf\n", {}, "line 2, column 'b': found 'inf'"),
        ("a,b\n1,2\n3\n", {}, "line 3: found 1 cells: expected 2 as in the header"),
        ('a,b,c\n1,2,"x\ny"\n3,z,w\n', {}, "line 4, column 'b': found 'z'"),
        ("a,b\n1,\n,2\n", {}, "no row has 'a' and 'b': expected at least one"),
        ("a,b\n1,2\n", {"b": "a"}, "a and b are both 'a'"),
        ("a,b\n1,2\n", {"margin": 0.0}, "margin: found 0: expected a positive number"),
        ("a,b\n1,2\n", {"margin": float("nan")}, "margin: found nan"),
        ("a,b,t\n1,2,\n", {"cluster": "t"}, "line 2, column 't': found nothing"),
        ("a,b,s,r\n1,2,0,x\n1,2,0,x\n", {"seed": "s", "row": "r"}, "line 3: row 'x' is there twice under seed '0'"),
        ("a,b,s,t\n1,2,0,x\n1,2,1,y\n", {"seed": "s", "cluster": "t"}, "is in cluster 'y': expected 'x'"),
        ("a,b,s,r\n1,2,0,x\n1,2,1,y\n", {"seed": "s", "row": "r"}, "for every seed: expected at least one"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(InputError) as caught:
        compare.compare_columns(path, **{"a": "a", "b": "b", **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "margin" in options or str(path) in str(caught.value)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        compare.compare_columns(tmp_path / "nothing.csv", "a", "b")
    with pytest.raises(InputError, match="cannot be read"):
        compare.compare_columns(tmp_path, "a", "b")
    binary = tmp_path / "x.parquet"
    binary.write_bytes(b"PAR1\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV file in UTF-8"):
        compare.compare_columns(binary, "a", "b")


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "bom.csv"
    path.write_bytes("a,b\n1,2\n2,2\n".encode("utf-8-sig"))
    assert compare.compare_columns(path, "a", "b").rows == 2


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mst", "compare", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_command_prints_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    path, differences = seeded(tmp_path)
    given = [str(path), "--a", "mst", "--b", "baseline", "--seed", "seed", "--cluster", "topic", "--json"]
    assert call(monkeypatch, *given) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["difference"]["interval"]["mean"] == pytest.approx(differences.mean())
    assert printed["over_seeds"]["difference"]["seeds"] == 3
    assert printed["mcnemar"] is None
    assert printed["margin"] == 0.5


def test_command_prints_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    path = simple(tmp_path, [1, 1, 1, 0, 1, 1], [0, 0, 0, 0, 1, 0], header="[b]x,y")  # brackets are no markup
    assert call(monkeypatch, str(path), "--a", "[b]x", "--b", "y", "--margin", "0.05") == 0
    printed = capsys.readouterr().out
    for part in ("[b]x minus y", "0.6667 (", "win 0, tie 2, loss 4", "1 in a alone 4, in b alone 0; p 0.1250", "TOST"):
        assert part in printed
    assert "nan" not in printed.lower()


def test_command_with_constant_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = simple(tmp_path, [3, 3, 3], [3, 3, 3])
    assert call(monkeypatch, str(path), "--a", "a", "--b", "b") == 0
    printed = capsys.readouterr().out
    assert "0 (no interval)" in printed and "no standard error, no claim" in printed


def test_command_with_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    path = simple(tmp_path, [1, 2], [1, "x"])
    assert call(monkeypatch, str(path), "--a", "a", "--b", "b") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"error: {path}, line 3, column 'b': found 'x': expected a number or nothing\n"
