"""How a torture is called, and what it prints: PROGRAM [SECONDS] [SEED]."""
import random
import sys

MOST_SHOWN = 40


def summary(name, t):
    """`t` has seconds, seed, count and violations; perhaps notes, and deeds, which are printed where something was wrong."""
    lines = [f"{name}: {t.seconds:.0f} s, seed {t.seed}: {t.headline()}, violations {len(t.violations)}",
             "    " + ", ".join(f"{k} {v}" for k, v in sorted(t.count.items()))]
    lines += [f"    {note}" for note in t.notes]
    lines += [f"    VIOLATION {v}" for v in t.violations[:MOST_SHOWN]]
    if t.violations:
        lines += [f"    deeds: {', '.join(t.deeds)}"] if t.deeds else []
        lines.append(f"    kept: {', '.join(map(str, t.kept()))}")
    return "\n".join(lines)


def run(name, torture):
    """Exits with 0 when nothing was wrong."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1_000_000)
    t = torture(seconds, seed).run()
    print(summary(name, t), flush=True)
    sys.exit(1 if t.violations else 0)
