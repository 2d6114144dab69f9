# tests/bench/table.py
#
# From the measurements of all rounds to the table: medians, the best peer, the ratio to it.
#
# SPDX-License-Identifier: Apache-2.0
import statistics

# Below this share of its processor the proxy waited for the load program or the backend.
BUSY = 0.85


def median_of(rounds, key):
    return statistics.median(one[key] for one in rounds)


def spread_of(rounds, key):
    values = [one[key] for one in rounds]
    return (max(values) - min(values)) / statistics.median(values) if min(values) > 0 else 0.0


class Cell:
    """One proxy in one scenario: its rounds, or why there are none."""

    def __init__(self, scenario, name):
        self.scenario = scenario
        self.name = name
        self.rounds = []     # right ones: dicts with rate, cost, busy, p50_us, p99_us or bytes
        self.errors = []     # sentences
        self.skipped = None  # the sentence, where the proxy cannot do what is measured
        self.requests = None  # of an HTTP/2 round, once its first has shown how many are enough

    def cost(self):
        """Processor seconds, or bytes of memory, per unit; None when nothing was measured."""
        return median_of(self.rounds, "cost") if self.rounds else None

    def text(self):
        if self.skipped is not None:
            return "skipped"
        if not self.rounds:
            return "error"
        if self.scenario.is_idle:
            return f"{self.cost() / 1024:.2f} KiB"
        rate = median_of(self.rounds, "rate")
        mark = "" if median_of(self.rounds, "busy") >= BUSY else " ~"
        mark += " !" if self.errors else ""
        if self.scenario.is_bulk:
            return f"{rate / 1e6:.0f} MB/s · {self.cost() * 1e12:.0f} µs/MB{mark}"
        return f"{rate:.0f}/s · {self.cost() * 1e6:.1f} µs{mark}"

    def facts(self):
        found = {"rounds": self.rounds, "errors": self.errors, "skipped": self.skipped}
        if self.rounds:
            found["cost"] = self.cost()
            found["cost_spread"] = spread_of(self.rounds, "cost")
            for key in ("rate", "busy", "p50_us", "p99_us"):
                if key in self.rounds[0]:
                    found[key] = median_of(self.rounds, key)
        return found


def better_of(cells):
    """Of a proxy's variants the one of least cost."""
    measured = [cell for cell in cells if cell.rounds]
    return min(measured, key=Cell.cost) if measured else cells[0]


def best_of(cells):
    peers = [cell for cell in cells if cell.rounds]
    return min(peers, key=Cell.cost) if peers else None


def ratio_text(scenario, ours, best):
    """How much more a processor second (or a byte) of ours does than the best peer's."""
    if ours is None or best is None or not ours.rounds:
        return "-"
    ratio = best.cost() / ours.cost()
    if scenario.is_idle:
        return f"{ratio:.2f}"
    rates = median_of(ours.rounds, "rate") / median_of(best.rounds, "rate")
    return f"{ratio:.2f} (rate {rates:.2f})"


def aim_text(scenario, ours, peer):
    """`peer` is the best, or the one that the aim names."""
    if scenario.aim is None or (ours is not None and ours.name != "sallyport"):
        return ""
    if scenario.is_idle:
        aim = f"≤ {scenario.aim} KiB"
        is_met = ours is not None and ours.rounds and ours.cost() <= scenario.aim * 1024
    else:
        aim = f"≥ {scenario.aim}" + (f" × {scenario.aim_peer}" if scenario.aim_peer else "")
        is_met = (ours is not None and ours.rounds and peer is not None
                  and peer.cost() / ours.cost() >= scenario.aim)
    if ours is None or not ours.rounds or (peer is None and not scenario.is_idle):
        return aim
    return f"{aim} {'met' if is_met else 'missed'}"


def variant_text(cell, kind):
    text = cell.text()
    return text + " (big buffers)" if cell.name == kind + "+big" and cell.rounds else text


def rows_of(results, kinds, subject):
    """`results`: (scenario, {kind: [cell of each variant]}) in order."""
    has_subject = subject in kinds
    rows = [["scenario", *kinds] + [f"{subject} to best peer", "aim"] * has_subject]
    for scenario, by_kind in results:
        cells = {kind: better_of(variants) for kind, variants in by_kind.items()}
        ours = cells.get(subject)
        peers = {kind: cell for kind, cell in cells.items() if kind != subject}
        best = best_of(peers.values())
        row = [scenario.title, *(variant_text(cells[kind], kind) if kind in cells else ""
                                 for kind in kinds)]
        if has_subject:
            named = best_of([cell for kind, cell in peers.items() if kind == scenario.aim_peer])
            row += [ratio_text(scenario, ours, best),
                    aim_text(scenario, ours, named if scenario.aim_peer else best)]
        rows.append(row)
    return rows


def format_markdown(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def format_plain(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
             for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
