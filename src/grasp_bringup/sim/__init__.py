"""The embedded simulator: MuJoCo scene, GraspEnv (Gymnasium) and sim_node (ROS) over one core."""
