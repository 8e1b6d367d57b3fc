"""Decides: specs, camera model, Q networks, the cross-entropy method, policies, checkpoints, policy_node."""
