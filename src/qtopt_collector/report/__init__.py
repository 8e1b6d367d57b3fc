"""One self-contained HTML file that shows what happened in a folder of bags."""
