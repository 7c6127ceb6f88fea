"""When assets run: jobs, schedules and sensors."""
