"""What both tortures do at their end: say how it went, and exit by it."""
import random
import sys


def report(head, torture, notes, kept):
    """`head`, what was counted, `notes`, and what was wrong with what is `kept` of it."""
    lines = [f"{head}, violations {len(torture.violations)}",
             "    " + ", ".join(f"{k} {v}" for k, v in sorted(torture.count.items()))]
    lines += [f"    {note}" for note in notes]
    lines += [f"    VIOLATION {v}" for v in torture.violations[:40]]
    return "\n".join(lines + ([f"    {k}" for k in kept] if torture.violations else []))


def run(torture):
    """A Torture for the SECONDS and SEED of the command line."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1_000_000)
    t = torture(seconds, seed).run()
    print(t.summary(), flush=True)
    sys.exit(1 if t.violations else 0)
