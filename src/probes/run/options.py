"""The options of a run: their names, their help and their defaults.

Each is an option of pytest and, as ``probes_NAME``, a key of its configuration file.
``parsed_options`` says what their values become.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from probes.cell import EFFORTS, Settings

DEFAULTS = Settings()


@dataclass(frozen=True, kw_only=True)
class RunOption:
    """One option.

    Attributes:
        name: As on the command line, such as ``--sets``.
        help: What it does, without the default.
        metavar: Name of its value in the help; None for a switch or with choices.
        kind: The type of its value; bool for a switch.
        default: Its value if neither the command line nor the file gives it.
        without: What happens then, in words; empty to show the default itself.
        choices: The values that it may have; empty for any.
    """

    name: str
    help: str
    metavar: str | None = None
    kind: type = str
    default: Any = None
    without: str = ""
    choices: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """Its name among parsed options."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def ini_key(self) -> str:
        """Its key in pytest's configuration file."""
        return "probes_" + self.attribute

    @property
    def ini_type(self) -> str:
        """The type of its key in pytest's configuration file."""
        return "string" if self.kind is str else self.kind.__name__

    @property
    def full_help(self) -> str:
        """The help with the default."""
        return self._with_default(self.help)

    @property
    def short_help(self) -> str:
        """The first clause of the help, with the default."""
        return self._with_default(re.split(r"[:;]| \(", self.help)[0])

    def _with_default(self, text: str) -> str:
        if self.kind is bool:
            return text
        return f"{text} (default: {self.without or self.default})"

    def command_line(self) -> dict[str, Any]:
        """Give the arguments with which pytest's parser adds the option.

        The default is left out: an option that the command line does not give is None,
        so that the configuration file can fill it.
        """
        if self.kind is bool:
            return {"action": "store_true", "default": None, "help": self.short_help}
        given = {"type": self.kind, "metavar": self.metavar, "help": self.short_help}
        return given | ({"choices": self.choices} if self.choices else {})


GRID_OPTIONS = (
    RunOption(
        name="--setup",
        metavar="NAME",
        help="the set-up of a published study: its claims with their variants, and "
        "its values of other options, which yield to those that you give; "
        "--list-setups says what each one sets",
        without="none",
    ),
    RunOption(
        name="--models",
        metavar="NAMES",
        help="models to judge, separated by commas: registered names, folders, Hub ids "
        "(org/name or org/name@revision), untrained:NAME (the architecture of NAME "
        "with random weights), or untrained_but_embeddings:NAME (the same, but with "
        "the embeddings and norms of NAME); mine=path calls it mine",
        without="every model that ships",
    ),
    RunOption(
        name="--datasets",
        metavar="NAMES",
        help="datasets to judge on, separated by commas: registered names, files of "
        "rows (.jsonl, .csv, .tsv or .json), or folders that hold a train and a test "
        "file; mine=path calls it mine",
        without="every dataset that ships",
    ),
    RunOption(
        name="--template",
        metavar="NAME",
        help="how rows become prompts, for datasets with several templates, such as "
        "dai or zhao for sst2; --list-datasets names them, and datasets without this "
        "one keep their own",
        without="each dataset's own",
    ),
    RunOption(
        name="--chat",
        kind=bool,
        help="write prompts as a chat, with the chat template of the model's "
        "tokenizer: queries are turns of the user, and answers those of the assistant",
    ),
    RunOption(
        name="--demos",
        metavar="NUMBERS",
        help="numbers of demonstrations, separated by commas",
        without="each dataset's own",
    ),
    RunOption(
        name="--grid",
        default="default",
        choices=("default", "full"),
        help="how much to run of everything that you do not name: default takes "
        "minutes; full adds sub-models, numbers of demonstrations and regression tasks",
    ),
    RunOption(
        name="--sets",
        kind=int,
        default=DEFAULTS.n_sets,
        metavar="N",
        help="demonstration sets in each cell; more sets give more power",
    ),
    RunOption(
        name="--until-decided",
        kind=int,
        metavar="MAX",
        help="judge inconclusive cells again with 2, 4, ... times the sets, up to MAX; "
        "each look uses a stricter level, so that all looks together are wrong as "
        "rarely as a single one; such a run is compared only with a record that "
        "--expect names",
        without="judge every cell once",
    ),
    RunOption(
        name="--new-groups",
        kind=bool,
        help="for datasets whose rows come in groups, such as the concepts of hmm, let "
        "verdicts speak of new groups like these (at least 5 groups; 10 are better), "
        "not of new demonstration sets of these groups; such a run is compared only "
        "with a record that --expect names",
    ),
    RunOption(
        name="--queries",
        kind=int,
        default=DEFAULTS.n_queries,
        metavar="N",
        help="queries after each demonstration set",
    ),
    RunOption(
        name="--orders",
        kind=int,
        default=DEFAULTS.n_orders,
        metavar="N",
        help="orders of the same demonstrations, for claims about their order",
    ),
    RunOption(
        name="--calibration",
        kind=int,
        default=DEFAULTS.n_calibration,
        metavar="N",
        help="queries on which GD's rate and passes are chosen; no verdict uses them",
    ),
    RunOption(
        name="--effort",
        default=DEFAULTS.effort,
        choices=EFFORTS,
        help="how much to spend on GD's best chance: quick costs about half of "
        "standard (2 demonstration sets choose rate and passes, up to 64 passes at a "
        "rate, no control with trained embeddings); standard has 4 sets and 256 "
        "passes; thorough costs twice as much or more (8 sets, 1024 passes)",
    ),
    RunOption(
        name="--rates",
        metavar="NUMBERS",
        help="the only learning rates of GD on text, separated by commas; calibration "
        "queries choose among them, and GD cannot be refuted at the lowest or highest; "
        "needs --passes",
        without="search for the best",
    ),
    RunOption(
        name="--passes",
        metavar="NUMBERS",
        help="the only numbers of passes (epochs) after which GD on text is read, "
        "separated by commas; needs --rates",
        without="search for the best",
    ),
    RunOption(
        name="--seed",
        kind=int,
        default=DEFAULTS.seed,
        metavar="N",
        help="seed of everything that is drawn at random",
    ),
    RunOption(
        name="--device",
        default=DEFAULTS.device,
        metavar="NAME",
        help="where text models run: cpu, cuda, cuda:1, or auto, which spreads a model "
        "over all GPUs",
    ),
    RunOption(
        name="--dtype",
        default=DEFAULTS.dtype,
        choices=("float32", "float64", "bfloat16", "float16"),
        help="precision of text models",
    ),
    RunOption(
        name="--long-rows",
        default=DEFAULTS.long_rows,
        choices=("error", "drop"),
        help="what to do with rows that exceed their share of the model's context: "
        "error stops the cell and names the row; drop leaves them out before anything "
        "is drawn",
    ),
    RunOption(
        name="--unused-tensors",
        default=DEFAULTS.unused_tensors,
        choices=("error", "allow"),
        help="what to do with a checkpoint that stores tensors which its configuration "
        "does not use: error refuses it; allow leaves them out, and every row says so",
    ),
)
"""Which cells there are, and how they are measured."""

PATH_OPTIONS = (
    RunOption(
        name="--data-dir",
        metavar="FOLDER",
        help="folder with the rows of sst2, agnews, cb, rte and mr, a sub-folder each",
        without="fetch them from the Hub",
    ),
    RunOption(
        name="--store",
        metavar="FOLDER",
        help="folder in which observations are kept between runs",
        without=".store",
    ),
    RunOption(
        name="--store-limit",
        metavar="SIZE",
        help="size of the store after the run, such as 500M or 2G; the run removes the "
        "least recently used observations until the rest fit",
        without="no limit",
    ),
    RunOption(
        name="--reports",
        metavar="FOLDER",
        help="folder of the report",
        without="reports/latest",
    ),
    RunOption(
        name="--plan",
        kind=bool,
        help="measure nothing; print what the run would measure, what that costs "
        "(time, from similar observations in the store or from the machine's speed; "
        "tokens and FLOPs, from the sizes of the models), how many sets the claims "
        "need for a power of .8, and "
        "which cells the run cannot decide, from the last report in --reports",
    ),
    RunOption(
        name="--expect",
        metavar="FILE",
        help="compare with another record, or with the results.jsonl of any run",
        without="claims/expected.json",
    ),
    RunOption(
        name="--update-expected",
        kind=bool,
        help="write this run's verdicts to claims/expected.json",
    ),
    RunOption(
        name="--raw",
        kind=bool,
        help="show verdicts without comparing them with a record",
    ),
)
"""Where a run reads and writes, and what it compares with."""

ENGINE_OPTIONS = (
    RunOption(
        name="--engine",
        metavar="NAME",
        help="measure the whole plan first and then judge it in this process: local or "
        "local:N uses N processes of this machine and replaces any that dies; ray or "
        "ray:ADDRESS uses a Ray cluster and needs the extra ray; implies -n 0",
        without="each test measures what it needs",
    ),
    RunOption(
        name="--budget",
        metavar="TIME",
        help="the time that a run may take, such as 2h, 45m or 90s, as --plan "
        "estimates it: the most telling cells come first (the variant gd, then other "
        "optimisers, then sub-models; 4 and 8 demonstrations before others), every "
        "model gets its share, and the report says what was left out",
        without="no limit",
    ),
    RunOption(
        name="--shard",
        metavar="I/N",
        help="measure only part I of N of the plan into the store, and judge nothing; "
        "after all parts, a run without --shard judges them",
        without="the whole plan",
    ),
    RunOption(
        name="--time-limit",
        kind=float,
        metavar="SECONDS",
        help="the longest that one observation may take; a longer one is an error, and "
        "the run continues. A library that hangs outside Python can be ended only in "
        "a worker (-n or --engine)",
        without="no limit",
    ),
)
"""How the plan is measured."""

RUN_OPTIONS = (*GRID_OPTIONS, *PATH_OPTIONS, *ENGINE_OPTIONS)
"""Every option, in the order of ``--help``."""
