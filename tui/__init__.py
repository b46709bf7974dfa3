"""What the operator sees and types. No torch here, directly or through anything else."""
