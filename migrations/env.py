"""Run the revisions with Alembic, on the connection and with the plan from its configuration."""

from alembic import context

from orderctl.migrate.run import Run

run: Run = context.config.attributes["run"]
context.configure(
    connection=run.connection,
    version_table=run.VERSION_TABLE,
    on_version_apply=run.record,
    output_buffer=run.output,
)
context.run_migrations(plan=context.config.attributes["plan"])
