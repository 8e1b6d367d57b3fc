"""One self-contained HTML file that shows how a training run went."""
