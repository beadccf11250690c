"""The commands `mst data ...`: thin, as in `mst_evals.cli`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mst_evals.data import TOPICS

app = typer.Typer(no_args_is_help=True, help="Check data sets, and make topics and articles of your own.")


@app.command()
def check(paths: Annotated[list[Path], typer.Argument(help="Files (.jsonl), or folders of them.")]) -> None:
    """Check data sets of ours: every fault with file, line and field. Exit code 1 when there is one.

    Form of every field, bytes, duplicates, near-duplicates, leaks between splits and files, labels that an article
    gives away, and the digests that the folder's README.md lists.

    Example: `mst data check datasets`
    """
    from mst_evals.corpus import corpus_commands

    raise typer.Exit(corpus_commands.check(paths, Console()))


@app.command()
def topics(
    model: Annotated[str, typer.Option(help="An Anthropic model.")],
    out: Annotated[Path, typer.Option(help="Folder of topics.jsonl, rejected.jsonl and what a later run needs.")],
    domains: Annotated[Path | None, typer.Option(help="File with a domain a line; default: the shipped 50.")] = None,
    per_domain: Annotated[int, typer.Option(help="Topics of each domain.")] = 46,
    batch: Annotated[bool, typer.Option(help="Message Batches: half the price, within 24 hours.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    price: Annotated[str | None, typer.Option(help="INPUT,OUTPUT in USD per million tokens.")] = None,
    existing: Annotated[Path, typer.Option(help="Topics that may not be repeated.")] = TOPICS,
    effort: Annotated[str | None, typer.Option(help="low ... max, where the model takes it.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 0,
) -> None:
    """Have an Anthropic model write topics of your own; the cost is shown before and after.

    Needs ANTHROPIC_API_KEY. Repeats and near-duplicates, also of the shipped topics, are rejected and kept with their
    reason. Interrupt it as you like: what was paid for is never asked again.

    Example: `mst data topics --model claude-sonnet-5-5 --out runs/topics`
    """
    from mst_evals.corpus.topics_commands import make_topics

    code = make_topics(
        Console(), out, model, domains, per_domain, batch=batch, yes=yes, price=price, existing=existing, effort=effort,
        seed=seed,
    )  # fmt: skip
    raise typer.Exit(code or 0)


@app.command()
def articles(
    model: Annotated[str, typer.Option(help="Any Inspect model: hf/..., vllm/..., anthropic/..., mst/DIR.")],
    out: Annotated[Path, typer.Option(help="Folder of articles.jsonl, rejected.jsonl, summary.json and logs.")],
    topics: Annotated[Path, typer.Option(help="Topics (JSON lines).")] = TOPICS,
    split: Annotated[list[str], typer.Option(help="Split; may be given several times.")] = ["train", "validation"],  # noqa: B006
    rows: Annotated[int | None, typer.Option(help="Topics of each split, the first ones.")] = None,
    seed: Annotated[int, typer.Option(help="Of the profiles, and of sampling where the model takes a seed.")] = 0,
    temperature: Annotated[float, typer.Option(help="Of sampling.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(help="Of a reply.")] = 512,
    shortest: Annotated[int, typer.Option(help="Fewest words of an article.")] = 80,
    longest: Annotated[int, typer.Option(help="Most words of an article.")] = 320,
    attempts: Annotated[int, typer.Option(help="How often a topic is asked for.")] = 2,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    price: Annotated[str | None, typer.Option(help="INPUT,OUTPUT in USD per million tokens.")] = None,
    model_args: Annotated[
        list[str],
        typer.Option("-M", metavar="KEY=VALUE", help="Of the model, as Inspect's -M, for example dtype=bfloat16."),
    ] = [],  # noqa: B006
) -> None:
    """Write one slanted article for each topic, under a random profile: training data for Experiment 1.

    Refusals, cut or repeated articles and wrong lengths are kept with their reason and asked for again. Interrupt it
    as you like: the same command asks only for what is missing. Where the model's price is known, the cost is shown
    before, with a question, and after. Exit code 1 when topics are left without an article, 2 when all are.

    An `hf/` model is asked as in an evaluation, with none of its own generation settings, and loaded in float32 where
    there is no CUDA, unless `-M dtype=...` says otherwise. For `vllm/` add `-M generation_config=vllm`. With another
    `-M` articles are asked for anew.

    Example: `mst data articles --model hf/meta-llama/Llama-3.2-3B-Instruct --out runs/articles`
    """
    from mst_evals.corpus import articles_commands, writers
    from mst_evals.corpus.article_checks import Request

    request = Request(seed, temperature, max_tokens, shortest, longest, attempts)
    raise typer.Exit(
        articles_commands.make(
            model, topics, out, split, request, rows, Console(), price=price, yes=yes,
            arguments=writers.read_arguments(model_args),
        )
    )  # fmt: skip
