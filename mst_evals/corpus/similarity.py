"""How alike texts are: the Jaccard similarity of their shingles, exactly and for all pairs.

A text's *shingles* are its runs of five characters, after case, punctuation and spacing have been levelled, within and
across words. Their Jaccard similarity is the number that two texts share, divided by the number that either holds
(A. Broder, "On the resemblance and containment of documents", 1997). It lies between 0 and 1, and a pair's value
depends on no other text. Runs of characters rather than of words, since rewording changes endings and order but keeps
stems, names and figures. There is no sampling and no sketch: a product of sparse matrices counts every pair.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

SHINGLE = 5  # characters
# The bounds were set on the first 2,400 topics that were written for this project and on 20 of them reworded by hand.
# Other names and figures in the same sentences: 0.73 to 0.78 (headlines alone 0.58 to 0.74). Sentences turned round and
# words replaced: 0.34 to 0.54 (0.28 to 0.53). Told anew, with the facts only: 0.133 to 0.199 (0.03 to 0.23, which no
# bound on headlines can see). Of the 2.9 million pairs of different topics half lie below 0.025 and all but 55 below
# 0.1; the 5 above 0.13 are about one subject, such as two counties of a state that spent opioid settlement money on
# patrol cars. One headline pair of 2.9 million, on one event, lies above 0.27.
BOUND = 0.13  # headline and context of two topics
HEADLINE_BOUND = 0.3  # their headlines alone
# Versions of one event, each written anew by one author, lie at 0.13 (median) to 0.24 in 24 topics of the judge set.
VERSION_BOUND = 0.3
# Articles that the micro world builds from phrase banks go up to 0.62: only a text with other names and figures in the
# same sentences counts as a copy.
ARTICLE_BOUND = 0.7
_BLOCK = 512  # texts compared with all others at a time: 512 x 2,300 counts of 4 bytes are 5 MB


@dataclass(frozen=True)
class Pair:
    """Two texts and how alike they are.

    Attributes:
        first: Index of one.
        second: Index of the other.
        similarity: In [0, 1].
    """

    first: int
    second: int
    similarity: float


@dataclass(frozen=True)
class Measure:
    """What of two rows is compared, and from where on they count as one.

    Attributes:
        field: Name of the field or fields, for messages.
        text: The text of a row.
        bound: Similarity of two rows that are too much alike, in (0, 1].
    """

    field: str
    text: Callable[[Mapping[str, Any]], str]
    bound: float


# Kind of data set (`mst_evals.data.KINDS`) -> measures. The micro world's topics combine a few words on purpose; other
# kinds repeat themselves by nature.
MEASURES = {
    "topics": (
        Measure("headline and context", lambda row: f"{row['headline']} {row['context']}", BOUND),
        Measure("headline", lambda row: str(row["headline"]), HEADLINE_BOUND),
    ),
    "articles": (Measure("article", lambda row: str(row["article"]), ARTICLE_BOUND),),
    "judge validation": (Measure("article", lambda row: str(row["article"]), VERSION_BOUND),),
}


def shingles(text: str) -> frozenset[str]:
    """The shingles of a text; a text of fewer than five characters is one shingle, one without any letter has none."""
    level = " ".join(re.findall(r"\w+", text.casefold()))
    if not level:
        return frozenset()
    level = f" {level} "
    return frozenset(level[start : start + SHINGLE] for start in range(max(1, len(level) - SHINGLE + 1)))


def similarity(one: str, other: str) -> float:
    """Similarity of two texts, in [0, 1]; 0 when neither has a shingle."""
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b) if a or b else 0.0


def above(texts: Sequence[str], bound: float, others: Sequence[str] | None = None) -> list[Pair]:
    """All pairs that are at least as alike as a bound, the most alike first.

    Args:
        texts: Texts.
        bound: In (0, 1].
        others: Texts to compare with; without them `texts` are compared with one another.

    Returns:
        Pairs of an index in `texts` and one in `others`; within `texts` with ``first < second``.
    """
    found = []
    for start, block in _blocks(texts, others):
        firsts, seconds = np.nonzero(block >= bound)
        for first, second in zip((firsts + start).tolist(), seconds.tolist(), strict=True):
            if others is not None or first < second:
                found.append(Pair(first, second, float(block[first - start, second])))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def closest(texts: Sequence[str], others: Sequence[str] | None = None) -> list[Pair]:
    """For each text the one that is most like it among `others`, or among the rest of `texts`.

    Returns:
        One pair for each text, in order; none at all when there is nothing to compare with.
    """
    if len(texts if others is None else others) < (2 if others is None else 1):
        return []
    found = []
    for start, block in _blocks(texts, others):
        if others is None:
            rows = np.arange(len(block))
            block[rows, rows + start] = -1.0  # not with itself
        best = block.argmax(axis=1)
        for row, second in enumerate(best.tolist()):
            found.append(Pair(start + row, second, float(block[row, second])))
    return found


def _blocks(texts: Sequence[str], others: Sequence[str] | None) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Similarities of some texts at a time with all others: index of the first of them, array [texts, others]."""
    columns: dict[str, int] = {}
    left = _counts([shingles(text) for text in texts], columns)
    right = left if others is None else _counts([shingles(text) for text in others], columns)
    left.resize(left.shape[0], len(columns))
    sizes, other_sizes = np.diff(left.indptr), np.diff(right.indptr)
    transposed = right.T.tocsc()
    for start in range(0, left.shape[0], _BLOCK):
        shared = (left[start : start + _BLOCK] @ transposed).toarray()
        either = sizes[start : start + _BLOCK, None] + other_sizes[None, :] - shared
        yield start, shared / np.maximum(either, 1)


def _counts(sets: Sequence[frozenset[str]], columns: dict[str, int]) -> Any:
    """Sparse matrix [texts, shingles] of ones; shingles that are new get the next columns."""
    indices: list[int] = []
    starts = [0]
    for one in sets:
        indices += [columns.setdefault(shingle, len(columns)) for shingle in one]
        starts.append(len(indices))
    ones = np.ones(len(indices), dtype=np.int32)
    return sparse.csr_matrix((ones, np.array(indices, dtype=np.int32), starts), shape=(len(sets), len(columns)))
