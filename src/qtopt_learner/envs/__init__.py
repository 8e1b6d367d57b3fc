"""QT-Opt on any Gymnasium environment: "besides the reward definition, nothing is specific to grasping"."""
