"""Episodes as rosbags: one crash-safe MCAP file each, in rosbag2's folder layout (schema version 1)."""
