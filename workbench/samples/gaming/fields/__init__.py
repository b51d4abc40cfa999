"""The columns of the log, by event type: what a web and app platform would write down."""
