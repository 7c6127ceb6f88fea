"""When things run: jobs, schedules and the sensor that tells Port what changed."""
