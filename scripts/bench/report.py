"""Writes what was measured: `docs/benchmarks.md` and the pictures in it. Figures are never edited by hand."""

import json
import os
import platform
import subprocess
from pathlib import Path

import outage
import queries
import sinks

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PICTURES = DOCS / "benchmarks"

INTRODUCTION = """# Benchmarks

`make bench` measures everything here on the machine it runs on, and writes this page anew: nothing is edited by hand.
Besides the build it takes about an hour and a half; with `ARGS=--quick` some ten minutes, and it says little about memory
then. `scripts/bench/run.py --help` lists what else can be changed.
"""


def machine():
    """Returns what the figures depend on, as rows of a table."""
    def first(path, key):
        lines = Path(path).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "unknown")

    def said(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"

    memory_kb = int(first("/proc/meminfo", "MemTotal").split()[0])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {
        "Processor": f"{first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "Memory": f"{memory_kb / 2**20:.0f} GiB",
        "System": f"{system}, Linux {platform.release().split('-')[0]}",
        "Compiler": said("rustc", "--version"),
    }


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def ranged(spread, form):
    return f"{spread['median']:{form}} ({spread['min']:{form}}–{spread['max']:{form}})"


def millions(spread):
    return ranged({key: value / 1e6 for key, value in spread.items()}, ".2f")


def verdict(reached, wanted):
    return f"{wanted}: {'met' if reached else '**missed**'}"


def about(found):
    """Says a quantile of a histogram: the bucket it is in, and where in there it is likely to be."""
    if found is None:
        return "none seen"
    return f"≤ {found['at_most'] * 1e3:g} ms (about {found['about'] * 1e3:.3g})"


def replay_section(replay):
    programs = replay["programs"]
    rows = []
    for name, found in programs.items():
        job_cpu = found["job_cpu"]
        rows.append([
            found.get("version", name),
            ranged(found["cpu"], ".3f"),
            millions(found["ticks_per_second"]),
            ranged(found["rss_mb"], ".0f"),
            f"{job_cpu['median']:.3f}" if job_cpu else "–",
            f"{found['job_ticks_per_second']['median'] / 1e6:.2f}",
            "1" if name == "tickwire" else f"{ranged(found['cpu_ratio'], '.2f')}",
            "1" if name == "tickwire" else f"{ranged(found['speed_ratio'], '.2f')}",
        ])
    ours = programs["tickwire"]
    cpu, speed = ours["cpu"]["median"], ours["ticks_per_second"]["median"]
    loads = [found["load"]["median"] for found in programs.values()]
    skipped = "".join(f"\n{name} was left out: it could not be installed.\n" for name in replay["skipped"])
    return f"""## A file of trades into bars

{replay['ticks']:,} trades of 100 symbols over two hours, as JSON lines out of order by up to 8 s, into bars of 1, 5 and 15
minutes with SMA, EMA, RSI, MACD and Bollinger bands ({replay['bars']:,} bars, the same number from each program).
Tickwire does it with `tickwire replay FILE --json`: the actors that run live, with duplicates, late trades and revisions
kept track of. Every program ran {replay['rounds']} times in turn with the others. Whole process: parsing, start and
exit included. Median (smallest–largest); load average {min(loads):.1f}–{max(loads):.1f}.

{table(
    ["", "CPU s per million", "M ticks/s", "peak MB", "CPU, job alone", "M ticks/s, job alone",
     "CPU × Tickwire's", "speed × Tickwire's"],
    rows,
)}

"Job alone" is what a program says of itself, without the start of an interpreter. Ratios are of runs in the same round.
{skipped}
- {verdict(cpu <= 0.5, "At most 0.5 CPU seconds per million ticks")} ({cpu:.3f})
- {verdict(speed >= 2e6, "At least 2 M ticks/s")} ({speed / 1e6:.2f})

![CPU seconds per million ticks](benchmarks/cpu.svg)

![Million ticks per second](benchmarks/speed.svg)
"""


def symbols_section(found):
    """Returns what a replay costs as the number of symbols grows."""
    cases, names = found["cases"], list(found["cases"][0]["programs"])
    rows = []
    for case in cases:
        row = [f"{case['symbols']:,}", f"{case['bars']:,}"]
        for key, form in (("cpu", ".2f"), ("rss_mb", ".0f"), ("wall", ".2f")):
            row += [ranged(case["programs"][name][key], form) for name in names]
        rows.append(row)
    header = ["symbols", "bars"]
    for what in ("CPU s", "peak MB", "seconds"):
        header += [f"{what}, {name}" for name in names]
    loads = [case["load"]["median"] for case in cases]
    most = cases[-1]
    held = most["programs"]["tickwire"]["rss_mb"]["median"]
    wanted = f"At most 600 MB with {most['symbols']:,} symbols"
    verdicts = [f"- {verdict(held <= 600, wanted)} ({held:.0f})"]
    if "duckdb" in names:
        pairs = [[case["programs"][name]["cpu"]["median"] for name in ("tickwire", "duckdb")] for case in cases]
        ratios = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in pairs)
        no_more = all(ours <= theirs for ours, theirs in pairs)
        verdicts.insert(0, f"- {verdict(no_more, 'No more CPU than DuckDB at any size')} (× {ratios})")
    return f"""## As the number of symbols grows

{found['ticks']:,} trades over two hours, spread evenly over more and more symbols: so there are ever more bars, and ever
fewer trades in each. The same job as above, {found['rounds']} times in turn. Whole process; median (smallest–largest); load
average {min(loads):.1f}–{max(loads):.1f}.

{table(header, rows)}

{chr(10).join(verdicts)}

![CPU seconds by number of symbols](benchmarks/symbols.svg)
"""


def live_section(live):
    rows = []
    for case in live["capacity"]:
        committed = case["committed_per_second"]
        rows.append([
            f"{case['kind']} log",
            f"{case['offered']:,}",
            f"{case['applied_per_second']:,.0f}",
            f"{committed:,.0f}" if committed else "–",
            f"{case['cpu_per_million']:.2f}",
            f"{case['cores_used']:.2f}",
            f"{case['rss_mb'][0]:.0f} → {case['rss_mb'][1]:.0f}",
            f"{case['load']:.1f}",
        ])
    by_kind = {case["kind"]: case for case in live["capacity"]}
    memory_rate = by_kind["memory"]["applied_per_second"]
    sqlite_rate = min(by_kind["sqlite"]["applied_per_second"], by_kind["sqlite"]["committed_per_second"])
    latency, memory = live["latency"], live["memory"]
    to_bar, to_commit = (latency["spans"][span] for span in ("received_to_bar", "received_to_committed"))
    bar_ok = to_bar["p99"] is not None and to_bar["p99"]["about"] < 0.001
    commit_ok = to_commit["p99"] is not None and to_commit["p99"]["about"] < 0.03
    symbols = by_kind["memory"]["symbols"]
    beside = beside_stopped_redis(live.get("latency_beside_stopped_redis"))
    return f"""## Live

`tickwire run` with its simulated venue, web servers and all; making the trades is part of the CPU time.

### How much it takes

{symbols:,} symbols, {by_kind['memory']['seconds']:.0f} s, more offered than is taken.

{table(
    ["", "offered/s", "applied/s", "committed/s", "CPU s per million", "cores", "MB, from → to", "load"],
    rows,
)}

- {verdict(memory_rate >= 1e6, "At least 1 M ticks/s without persistence")} ({memory_rate / 1e6:.2f} M)
- {verdict(sqlite_rate >= 250_000, "At least 250,000 ticks/s with SQLite")} ({sqlite_rate:,.0f})

### How long a tick takes

Default settings, {latency['offered']:,} ticks/s asked for, {latency['applied_per_second']:,.0f} seen,
{latency['cores_used']:.2f} cores, {latency['seconds']:.0f} s. Out of a histogram that counts messages of the
venue, each with what it traded in about a millisecond; so a value is known by its bucket.

{table(
    ["from received to", "median", "99 %"],
    [
        ["bar and indicators", about(to_bar["p50"]), about(to_bar["p99"])],
        ["committed", about(to_commit["p50"]), about(to_commit["p99"])],
    ],
)}

- {verdict(bar_ok, "99 % in bars and indicators within 1 ms")}
- {verdict(commit_ok, "99 % committed within 30 ms")}
{beside}
### What many symbols hold

{memory['symbols']:,} symbols at {memory['applied_per_second']:,.0f} ticks/s in all for {memory['seconds']:.0f} s, default
settings but no past made up: at most {memory['held_rss_mb']:.0f} MB when looked at every 5 s, {memory['peak_rss_mb']:.0f} MB at the highest moment,
{memory['cores_used']:.2f} cores. Trades are kept until their windows are sealed, six minutes at most by default, so a run shorter
than that shows too little.

- {verdict(memory['peak_rss_mb'] < 400, "Less than 400 MB")}
"""


def beside_stopped_redis(latency):
    """Says how long ticks take while Redis answers nothing, where that was measured."""
    if not latency:
        return ""
    to_bar, to_commit = (latency["spans"][span]["p99"] for span in ("received_to_bar", "received_to_committed"))
    return (
        f"\nWith a Redis that answers nothing for {latency['seconds']:.0f} s: 99 % in bars and indicators {about(to_bar)}, "
        f"committed {about(to_commit)}.\n"
    )


def venue_section(cases):
    """Returns what the trades of one socket cost on their whole way."""
    rows = [
        [
            f"{case['kind']} log",
            f"{case['applied_per_second']:,.0f}",
            f"{case['cpu_per_million']:.2f}",
            f"{case['cores_used']:.2f}",
            about(case["p50"]),
            about(case["p99"]),
            f"{case['rss_mb']:.0f}",
            f"{case['load']:.1f}",
        ]
        for case in cases
    ]
    first = cases[0]
    keeps_up = all(case["applied_per_second"] >= 0.98 * case["offered"] for case in cases)
    return f"""## One socket of a venue

A made-up Polygon on this machine sends {first['offered']:,} trades a second of {first['symbols']} stocks over one socket, {first['trades_per_frame']} a message,
in the venue's own bytes, for {first['seconds']:.0f} s; making them uses the same cores. `tickwire run` reads them into bars and indicators,
with its web servers and all. CPU is that of Tickwire alone.

{table(
    ["", "trades/s", "CPU s per million", "cores", "received to bar, median", "99 %", "MB", "load"],
    rows,
)}

- {verdict(keeps_up, "Takes what one socket brings")}
"""


def milliseconds(found):
    """Says two quantiles in milliseconds."""
    return f"{found['p50']:.2f} / {found['p99']:.2f}" if found else "–"


def fanout_section(fanout):
    """Returns what live clients cost and how long they wait."""
    cases = {}
    for found in fanout["cases"]:
        cases.setdefault(found["case"], []).append(found)
    topic, five, bars = (cases[name][0] for name in ("one topic", "five of fifty", "closed bars"))
    with_all = [found for found in cases["stopped reader"] if found["stopped"] == 0]
    with_stopped = [found for found in cases["stopped reader"] if found["stopped"] > 0]
    p99 = [sum(found["tick_read_ms"]["p99"] for found in side) / len(side) for side in (with_all, with_stopped)]
    change = p99[1] / p99[0] - 1
    rows = [["tickwire", f"{topic['deliveries_per_second']:,.0f}", f"{topic['us_per_delivery']:.2f}", "1"]]
    for found in fanout["peers"].values():
        ratio = found["us_per_delivery"] / topic["us_per_delivery"]
        rows.append([
            found["called"],
            f"{found['deliveries_per_second']:,.0f}",
            f"{found['us_per_delivery']:.2f}",
            f"{ratio:.0f}",
        ])
    phases = [
        [
            "one stopped" if found["stopped"] else "all read",
            f"{found['deliveries_per_second']:,.0f}",
            milliseconds(found["tick_read_ms"]),
            f"{found['memory_mb']}",
        ]
        for found in cases["stopped reader"]
    ]
    waits = [
        [
            f"ticks, {five['clients']} clients of 5 symbols each, {five['deliveries_per_second']:,.0f} ticks/s in all",
            milliseconds(five["sent_ms"]),
        ],
        [f"a closed bar, {bars['clients']:,} clients", milliseconds(bars["bar_sent_ms"])],
    ]
    fast = topic["deliveries_per_second"] >= 1e6 and topic["us_per_delivery"] <= 1
    return f"""## Served over WebSocket

`benches/fanout`: the program under its simulated venue with SQLite on, and the clients in one other process, on the same
cores, where they run when nothing else wants to. How long is from a venue's message being received to its frames being
written, 50 clients at a time, out of a histogram: whether a limit is kept is counted, a value between two bounds is an
estimate.

### Many clients, one topic

{topic['clients']} clients that get every tick of one symbol, {topic['bytes']:.0f} bytes each (its name is long); the server's CPU time is that of
everything it does. The peers broadcast one message of 220 bytes to as many clients, as fast as they can.

{table(["", "deliveries/s", "server CPU µs each", "CPU × Tickwire's"], rows)}

- {verdict(fast, "At least 1 M deliveries/s at 1 µs each at most")}

### How long live clients wait

Those who wait for bars read twice a second, so that reading takes no processor time from the server's writing.

{table(["", "median / 99 % in ms"], waits)}

- {verdict(five['sent_ms']['p99_at_most'] <= 1, "99 % of ticks written within 1 ms")}
- {verdict(bars['bar_sent_ms']['p99_at_most'] <= 10, "99 % of closed bars written to 1,000 clients within 10 ms")}

### A reader that stops

{with_all[0]['clients']:,} clients of 1 of 50 symbols, {with_all[0]['seconds']} s with all of them reading and as long with one that does not, in
turns. What the others read is this old:

{table(["", "deliveries/s", "median / 99 % in ms", "server MB"], phases)}

- {verdict(abs(change) < 0.05, "99 % of the others moves by less than 5 %")} ({change * 100:+.1f} %)
"""


def rest_section(rest):
    """Returns how many requests are answered, and how fast."""
    if not rest:
        return "## Served over REST\n\nNot measured: wrk is missing.\n"
    rows = [
        [
            f"`{found['request']}`",
            f"{found['bytes']:,}",
            f"{found['per_second']:,.0f}",
            f"{found['p50_ms']:.2f} / {found['p99_ms']:.2f}",
            f"{found['ticks_per_second']:,.0f}",
            f"{found['failed']}",
        ]
        for found in rest
    ]
    small = [found for found in rest if found["bytes"] < 10_000]
    fast = all(found["per_second"] >= 50_000 and found["p99_ms"] < 1 for found in small)
    return f"""## Served over REST

wrk with one thread and 3 connections, on the same cores as the server, while ticks flow into SQLite and windows. An answer
without a limit has 500 bars: copying it is what it costs.

{table(["", "bytes", "requests/s", "median / 99 % in ms", "ticks/s meanwhile", "failed"], rows)}

- {verdict(fast, "At least 50,000 small answers a second, 99 % within 1 ms")}
"""


def sinks_section(found):
    """Returns how fast the stores take what is written."""

    def reaches(ours, peer, share):
        return ours in found and peer in found and found[ours]["per_second"] >= share * found[peer]["per_second"]

    goals = [
        ("postgres", "copy", 0.7, "PostgreSQL takes ticks at 70 % or more of a bare COPY of the same rows into the same table"),
        ("influxdb", "influxdb2", 1.0, "InfluxDB takes points at least as fast as from its own client"),
        ("kafka", "rdkafka", 0.6, "Kafka takes ticks at 60 % or more of a plain loop of rdkafka with the same messages"),
        ("kafka-venue", "rdkafka-consumer", 0.6, "Kafka is read into bars at 60 % or more of a plain loop that only reads"),
    ]
    verdicts = [
        f"- {verdict(reaches(ours, peer, share), claim)}"
        for ours, peer, share, claim in goals
        if ours in found and peer in found
    ]
    listed = "\n".join(verdicts)
    return f"""## Into the stores

Batch after batch over one connection, to servers on the same two cores: ticks in PostgreSQL, with the row that says how far the
history is, in transactions of a batch each; requests of 5,000 trades; pipelines of 3,000 keys; batches of 10,000 messages, each
confirmed before the next. The peers write the same rows, points and messages, and values as long. What is read from Kafka is
merged by event time and goes through the log into bars and indicators, from its first message to the last commit.

{table(sinks.HEADER, sinks.rows(found))}

{listed}
"""


def topic_section(found):
    """Returns how long a tick takes into its topic, and to a reader of it."""
    if not found:
        return "## Into a topic of Kafka\n\nNot measured: the broker or its client for Python is not to be had.\n"

    def row(called, of):
        return [called, *(f"{found[of + name]:.1f}" for name in ("p50_ms", "p99_ms", "longest_ms"))]

    return f"""## Into a topic of Kafka

{found['offered']:,} ticks/s asked for, {found['per_second']:,.0f} seen by a consumer of `tick_data` in another process, default settings, broker and
consumer on the same two cores, {found['seconds']:.0f} s: from `received_at` to the time that the broker gave the message, and to the consumer's
hands, so the consumer's own share is in that.

{table(["ms", "median", "99 %", "longest"], [row("into the topic", ""), row("to the reader", "read_")])}

- {verdict(found['p99_ms'] < 20, "99 % into the topic within 20 ms")}
"""


# What the system that Tickwire replaces aimed at, in milliseconds: 99 % of ticks.
AIMED_AT = {"received to validated": 20, "to bars and indicators": 50, "to committed in the history": 80, "end to end": 100}


def whole_section(found):
    """Returns how long ticks take with every store on."""
    if not found:
        return "## Every store at once\n\nNot measured: one of the servers is not to be had.\n"
    spans = found["spans"]
    ours = dict(
        zip(
            AIMED_AT,
            (spans["received_to_logged"], spans["received_to_bar"], spans["received_to_history"], spans["received_to_history"]),
            strict=True,
        )
    )
    rows = [[what, f"{aim} ms", about(ours[what]["p99"])] for what, aim in AIMED_AT.items()]
    good = all(ours[what]["p99"]["about"] * 1e4 <= aim for what, aim in AIMED_AT.items())
    return f"""## Every store at once

PostgreSQL with every tick, Redis and InfluxDB on the same two cores: {found['offered']:,} ticks/s asked for,
{found['applied_per_second']:,.0f} seen, {found['cores_used']:.2f} cores of this process, {found['seconds']:.0f} s. 99 % of what is counted take
at most, since they were received:

{table(["", "the old system aimed at", "measured"], rows)}

- {verdict(good, "Each of them is a tenth of that")}
"""


def queries_section(found):
    """Returns how fast REST answers from a year in PostgreSQL."""
    if not found:
        return "## Requests to a year of history\n\nNot measured: PostgreSQL is not to be had.\n"

    def within(times, limit):
        every = sorted(took for kind in times.values() for took in kind)
        return every[int(len(every) * 0.99)] < limit

    listed = [*queries.first_rows(found), *queries.rows(found["past"]), *queries.rows(found["now"])]
    return f"""## Requests to a year of history

{found['ticks']:,} ticks of {found['days']} days and 100 symbols in PostgreSQL with the bars and indicators of every window, {found['size']};
{found['applied_per_second']:,.0f} ticks/s come in meanwhile. {found['rate']:.0f} requests a second: first about random days, then about now. What a
disk and new connections read for the first time stands in the first row ({found['first_failed']} of these failed). A request's time counts from
when it was due. {found['failed']} failed.

{table(queries.HEADER, listed)}

- {verdict(within(found["past"], 50), "99 % of those about the past within 50 ms")}
- {verdict(within(found["now"], 5), "99 % of those about now within 5 ms")}
"""


def outage_section(cases):
    """Returns what it costs the rest when a backend is away."""
    if not cases:
        return "## Outages\n\nNot measured: no server is to be had.\n"

    def p99(case, name):
        return next(found["p99_ms"][0] or 0.0 for found in case["phases"] if found["phase"] == name)

    # Half a millisecond, or half as much again, is what such a figure varies by itself.
    calm = all(p99(case, "during") <= max(1.5 * p99(case, "before"), p99(case, "before") + 0.5) for case in cases)
    done = all(case["caught_up_seconds"] is not None for case in cases)
    compared = [case["topic"] for case in cases if case.get("topic")]
    whole = "".join(
        f"\n- {verdict(found['missing'] == 0, 'the topic of ticks has each report that the log has')}" for found in compared[:1]
    )
    return f"""## Outages

A run at 10,000 ticks a second before, during and after an outage of one backend: its connections are closed (`away`), nothing passes
(`hangs`), or each piece passes 2 s late (`slow`).

{table(outage.HEADER, outage.rows(cases))}

- {verdict(calm, "what goes on takes no longer to bars than before")}
- {verdict(done, "each backend catches up")}{whole}
"""


def storm_section(found):
    """Returns what a second in which every symbol spikes costs, and whom it wakes how often."""
    rows = [
        [name, milliseconds_at_most(phase["p50"]), milliseconds_at_most(phase["p99"]), f"{phase['rss_mb']:.0f}"]
        for name, phase in (("before", found["before"]), ("with the spikes", found["storm"]), ("after", found["after"]))
    ]
    most = found["messages_max"]
    return f"""## Every symbol spikes in one second

A made-up Polygon sends {found['offered']:,} trades a second of {found['symbols']:,} symbols; for one second their prices are 12 % higher. Bars of a
second are judged, the history is in SQLite, and a webhook is told. Each row is {found['seconds']:.0f} s.

{table(["", "received to bar, median", "99 %", "MB"], rows)}

{found['anomalies']:,} anomalies of {found['anomalous_symbols']:,} symbols became {found['messages']} messages about price spikes; the largest was about {found['largest']:,} symbols.

- {verdict(found["messages"] <= most, f"At most {most} messages: one when they begin")}
- {verdict(found["largest"] == found["symbols"], "All symbols in one message")}
"""


def milliseconds_at_most(found):
    """Says a quantile of a histogram in milliseconds."""
    return "none seen" if found is None else f"{found['about'] * 1e3:.2f} ms"


def parts_section(target):
    """Returns the table of the small benchmarks, as criterion left them; empty where there are none."""
    rows, all_nanos = [], {}
    for found in sorted(Path(target, "criterion").glob("**/new/benchmark.json")):
        known = json.loads(found.read_text())
        estimates = json.loads(found.with_name("estimates.json").read_text())
        best = estimates.get("slope") or estimates["median"]
        nanos, throughput = best["point_estimate"], known.get("throughput") or {}
        per = f"{nanos / throughput['Elements']:,.1f} ns" if "Elements" in throughput else "–"
        rows.append([known["full_id"], duration(nanos), per])
        all_nanos[known["full_id"]] = nanos
    if not rows:
        return ""
    return f"""## Parts

From criterion (`cargo bench`), one thread. The last column divides by the number of ticks or rows.

{table(["", "time", "each"], rows)}
{detection_share(all_nanos)}"""


def detection_share(all_nanos):
    """Says what detection adds to the core; with 1,000 symbols there are two trades a bar."""
    shares = []
    for size in ("one symbol", "1,000 symbols"):
        apply = f"core/apply, {size}, jittered"
        with_it, without = all_nanos.get(apply), all_nanos.get(f"{apply}, without detection")
        if with_it and without:
            shares.append((size, with_it / without - 1))
    if not shares:
        return ""
    said = ", ".join(f"{share:+.1%} with {size}" for size, share in shares)
    return f"""
- {verdict(max(share for _, share in shares) < 0.05, "Detection adds less than 5 % to the core's time")} ({said})
"""


def duration(nanos):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanos >= size:
            return f"{nanos / size:.2f} {unit}"
    return f"{nanos:.1f} ns"


def chart_head(title, width, height, best_is_low):
    """Returns the first lines of an SVG that reads on light and on dark pages."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
        "<style>",
        "text { font: 14px system-ui, sans-serif; fill: #24292f } .peer { fill: #8c959f } .ours { fill: #0969da }",
        "@media (prefers-color-scheme: dark) {",
        "text { fill: #e6edf3 } .peer { fill: #6e7681 } .ours { fill: #4493f8 } }",
        "</style>",
        f'<text x="0" y="18" font-weight="600">{title} ({"less" if best_is_low else "more"} is better)</text>',
    ]


def bar_chart(title, values, best_is_low, form):
    """Returns an SVG of horizontal bars."""
    width, label, row = 640, 120, 34
    room = width - label - 90
    most = max(values.values())
    height = 46 + row * len(values)
    parts = chart_head(title, width, height, best_is_low)
    for at, (name, value) in enumerate(values.items()):
        y = 34 + at * row
        length = max(2, value / most * room)
        kind = "ours" if name == "tickwire" else "peer"
        parts.append(f'<text x="{label - 10}" y="{y + 17}" text-anchor="end">{name}</text>')
        parts.append(f'<rect class="{kind}" x="{label}" y="{y}" width="{length:.1f}" height="24" rx="3"/>')
        parts.append(f'<text x="{label + length + 8:.1f}" y="{y + 17}">{value:{form}}</text>')
    return "\n".join([*parts, "</svg>", ""])


def grouped_chart(title, groups, form):
    """Returns an SVG of horizontal bars, one group below another: `groups` has values by program by group."""
    bars, height = [], 34
    most = max(value for values in groups.values() for value in values.values())
    width, label = 640, 190
    room = width - label - 90
    for group, values in groups.items():
        bars.append(f'<text x="0" y="{height + 17}">{group}</text>')
        for name, value in values.items():
            length = max(2, value / most * room)
            kind = "ours" if name == "tickwire" else "peer"
            bars.append(f'<text x="{label - 10}" y="{height + 16}" text-anchor="end">{name}</text>')
            bars.append(f'<rect class="{kind}" x="{label}" y="{height}" width="{length:.1f}" height="22" rx="3"/>')
            bars.append(f'<text x="{label + length + 8:.1f}" y="{height + 16}">{value:{form}}</text>')
            height += 26
        height += 12
    return "\n".join([*chart_head(title, width, height, True), *bars, "</svg>", ""])


SECTIONS = (
    ("replay", replay_section),
    ("symbols", symbols_section),
    ("live", live_section),
    ("venue", venue_section),
    ("fanout", fanout_section),
    ("rest", rest_section),
    ("sinks", sinks_section),
    ("topic", topic_section),
    ("whole", whole_section),
    ("queries", queries_section),
    ("outage", outage_section),
    ("storm", storm_section),
)


def draw_symbols(found):
    """Writes the picture of what many symbols cost."""
    groups = {
        f"{case['symbols']:,} symbol{'s' if case['symbols'] > 1 else ''}": {
            name: figures["cpu"]["median"] for name, figures in case["programs"].items()
        }
        for case in found["cases"]
    }
    title = f"CPU seconds for {found['ticks'] / 1e6:g} million ticks"
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "symbols.svg").write_text(grouped_chart(title, groups, ".2f"))


def draw(replay):
    """Writes the pictures."""
    pictures = PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    programs = replay["programs"]
    cpu = {name: found["cpu"]["median"] for name, found in programs.items()}
    speed = {name: found["ticks_per_second"]["median"] / 1e6 for name, found in programs.items()}
    (pictures / "cpu.svg").write_text(bar_chart("CPU seconds per million ticks", cpu, True, ".2f"))
    (pictures / "speed.svg").write_text(bar_chart("Million ticks per second", speed, False, ".2f"))


def write(measured, target):
    """Writes the page, and its pictures where what they show was measured."""
    facts = table(["", ""], [[key, value] for key, value in machine().items()] + [
        ["Date", measured["date"]],
        ["Version", f"{measured['version']}; every program on {measured['cores']} cores"],
    ]).replace("---:", "---")
    sections = [
        INTRODUCTION,
        facts + "\n",
        *(make(measured[name]) for name, make in SECTIONS if name in measured),
        parts_section(target),
    ]
    if "replay" in measured:
        draw(measured["replay"])
    if "symbols" in measured:
        draw_symbols(measured["symbols"])
    (DOCS / "benchmarks.md").write_text("\n".join(section for section in sections if section))
