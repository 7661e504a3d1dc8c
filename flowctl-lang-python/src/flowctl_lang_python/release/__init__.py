"""Release builds of Python components: one executable for each platform, from wheels resolved for that platform."""
