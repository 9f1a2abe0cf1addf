"""Training: recipes in `config`, the loop in `loop`, the command in `classify`."""
