"""One file a subcommand: options become a job, the job is run, the result is told. No logic, and no heavy import at the top."""
