"""All commands in one place: their names, panels and examples."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from workbench.cli import (
    ask,
    bench,
    compute,
    data,
    demo,
    graph,
    machine,
    mirrors,
    quarantine,
    query,
    report,
    rules,
    run,
    serve,
    synth,
    triage,
    upkeep,
    watch,
)
from workbench.cli.errors import Group

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["app"]

app = typer.Typer(
    name="workbench",
    cls=Group,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with 'workbench demo'; 'workbench COMMAND --help' explains each command with examples.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from workbench import __version__  # noqa: PLC0415  (asked for once)

        typer.echo(f"workbench {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def workbench(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Event logs to documents, a property graph and computed knowledge."""
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_GRAPH_COMMANDS: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    (
        "around",
        graph.around,
        (
            "workbench graph around user:anna --hops 2 --limit 10",
            "workbench graph around user:anna -o a.graphml",
        ),
    ),
    ("path", graph.path, ("workbench graph path user:anna user:boris -k 3",)),
    ("shared", graph.shared, ("workbench graph shared user:anna user:boris --through country",)),
    ("stats", graph.stats, ("workbench graph stats --json",)),
)

_COMMANDS: tuple[tuple[str, str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("Start", "demo", demo.demo, ("workbench demo", "workbench demo --path /tmp/wb-demo")),
    ("Start", "init", data.init, ("workbench init shop", "workbench init shop --schema shop.yaml")),
    (
        "Start",
        "ingest",
        data.ingest,
        (
            "workbench ingest -w shop logs/",
            "workbench ingest -w shop --type Order --option 'delimiter=;' 'orders-*.csv.gz' --dry-run",
        ),
    ),
    (
        "Start",
        "watch",
        watch.watch,
        ("workbench watch logs/ -w shop", "workbench watch logs/ exports/ -w shop --once"),
    ),
    (
        "Start",
        "synth",
        synth.synth,
        (
            "workbench synth logs --days 2 --events-per-day 5000",
            "workbench synth logs --days 30 --events-per-day 958000 --seed 7 --clean",
        ),
    ),
    ("Start", "lab", machine.lab, ("workbench lab", "workbench lab -w shop -- --no-browser")),
    (
        "Look",
        "catalog",
        query.catalog,
        ("workbench catalog", "workbench catalog --format html -o catalog.html"),
    ),
    (
        "Look",
        "sql",
        query.sql,
        (
            "workbench sql 'select _type, count(*) from events group by all'",
            "workbench sql --format csv -o orders.csv - < orders.sql",
        ),
    ),
    (
        "Look",
        "ask",
        ask.ask,
        (
            "workbench ask 'how many orders per country in March'",
            "workbench ask --session s1 'and in April?'",
        ),
    ),
    ("Look", "plan", ask.plan, ("workbench plan edited.json --explain",)),
    ("Look", "plan-schema", ask.plan_schema, ("workbench plan-schema -o plan.schema.json",)),
    ("Look", "entity", query.entity, ("workbench entity user:anna", "workbench entity user:anna --json")),
    (
        "Look",
        "knowledge",
        compute.knowledge,
        ("workbench knowledge", "workbench knowledge pagerank --limit 5"),
    ),
    ("Look", "status", data.status, ("workbench status", "workbench status -w shop --json")),
    (
        "Compute",
        "compute",
        compute.compute,
        ("workbench compute", "workbench compute pagerank -p damping=0.9 --asof 2025-06-30"),
    ),
    ("Operate", "verify", data.verify, ("workbench verify --full",)),
    (
        "Operate",
        "repair",
        upkeep.repair,
        ("workbench repair -w shop", "workbench repair -w shop --from backup/shop --apply"),
    ),
    (
        "Operate",
        "evict",
        data.evict,
        ("workbench evict --before 2025-06-01", "workbench evict 2025-06-03 --yes"),
    ),
    (
        "Operate",
        "compact",
        upkeep.compact,
        ("workbench compact -w shop", "workbench compact 2025-06-03 --json"),
    ),
    ("Operate", "index", upkeep.index, ("workbench index -w shop", "workbench index -w shop --json")),
    (
        "Operate",
        "forget",
        upkeep.forget,
        ("workbench forget user:anna -w shop", "workbench forget user:anna -w shop --apply"),
    ),
    (
        "Operate",
        "mirror",
        mirrors.mirror,
        ("workbench mirror s3://bucket/shop -w shop", "workbench mirror backup/shop -w shop --prune"),
    ),
    ("Operate", "restore", mirrors.restore, ("workbench restore s3://bucket/shop shop",)),
    ("Operate", "config", machine.config, ("workbench config",)),
    ("Operate", "drivers", machine.drivers, ("workbench drivers",)),
    ("Operate", "run", run.run, ("workbench run -w shop --watch logs/", "workbench run -w shop --port 5006")),
    (
        "Operate",
        "schema",
        machine.schema,
        ("workbench schema", "workbench schema AnomalyRule -o anomaly-rule.schema.json"),
    ),
    (
        "Operate",
        "serve",
        serve.serve,
        (
            "workbench serve -w shop --port 8080",
            "workbench serve shop --address 0.0.0.0 --password-file users --tls-cert c.pem --tls-key k.pem",
        ),
    ),
    ("Operate", "password", serve.password, ("workbench password users anna",)),
)

_QUARANTINE_COMMANDS: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("list", quarantine.list_, ("workbench quarantine list -w shop",)),
    (
        "show",
        quarantine.show,
        ("workbench quarantine show 9f2c11d0a3b4", "workbench quarantine show 'logs/*' --out bad.jsonl"),
    ),
    (
        "retry",
        quarantine.retry,
        (
            "workbench quarantine retry --dry-run",
            "workbench quarantine retry logs/orders.csv --option 'delimiter=;'",
        ),
    ),
)

_TRIAGE_COMMANDS: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("mark", triage.mark, ("workbench triage mark user:anna confirmed --note 'called her' -w shop",)),
    ("note", triage.note, ("workbench triage note page:home 'new since May' -w shop",)),
    ("list", triage.list_, ("workbench triage list user:anna -w shop",)),
    ("precision", triage.precision, ("workbench triage precision -w shop --json",)),
)

_RULES_COMMANDS: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("list", rules.list_, ("workbench rules list -w shop",)),
    ("check", rules.check, ("workbench rules check -w shop",)),
    ("add", rules.add, ("workbench rules add trend-spike -w shop",)),
    (
        "backtest",
        rules.backtest,
        (
            "workbench rules backtest trend-spike -w shop",
            "workbench rules backtest draft.yaml --since 2025-06-01 --json",
        ),
    ),
    ("enable", rules.enable, ("workbench rules enable trend-spike -w shop",)),
    ("disable", rules.disable, ("workbench rules disable trend-spike -w shop",)),
    ("evaluate", rules.evaluate, ("workbench rules evaluate -w shop --json",)),
    ("log", rules.log, ("workbench rules log trend-spike -w shop",)),
)

_BENCH = ("workbench bench anomaly --quick", "workbench bench anomaly --seeds 201 --out anomaly.json")
_REPORT_RUN = ("workbench report run weekly.ipynb -w shop -p month=3 -o weekly.html",)


def _help(function: Callable[..., Any]) -> str:
    """Return a command's docstring with its lines joined: the terminal decides where they break."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return escape("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))


def _epilog(examples: tuple[str, ...]) -> str:
    return "\n".join(("[bold]Examples[/bold]", *(f"  {escape(example)}" for example in examples)))


def _register() -> None:
    app.add_typer(graph.app, name="graph", rich_help_panel="Look")
    app.add_typer(quarantine.app, name="quarantine", rich_help_panel="Operate")
    app.add_typer(report.app, name="report", rich_help_panel="Operate")
    app.add_typer(rules.app, name="rules", rich_help_panel="Operate")
    app.add_typer(triage.app, name="triage", rich_help_panel="Look")
    report.app.command("run", help=_help(report.run), epilog=_epilog(_REPORT_RUN))(report.run)
    for panel, name, function, examples in _COMMANDS:
        app.command(name, rich_help_panel=panel, help=_help(function), epilog=_epilog(examples))(function)
    app.command(
        "bench",
        rich_help_panel="Operate",
        help=_help(bench.bench),
        epilog=_epilog(_BENCH),
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(bench.bench)
    groups = (
        (graph.app, _GRAPH_COMMANDS),
        (quarantine.app, _QUARANTINE_COMMANDS),
        (rules.app, _RULES_COMMANDS),
        (triage.app, _TRIAGE_COMMANDS),
    )
    for group, commands in groups:
        for name, function, examples in commands:
            group.command(name, help=_help(function), epilog=_epilog(examples))(function)


_register()
