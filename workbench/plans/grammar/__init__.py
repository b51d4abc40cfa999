"""The parts of the grammar planner: lexicon, times, chart, rules, and what readings become as plans."""
